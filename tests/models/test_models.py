"""The networks: their size in the paper, their formula, and what a warp must be before it has learnt."""

import os
import subprocess
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from pydantic import ValidationError
from torch import nn
from torch.func import functional_call

from tpl.inference import estimate_cameras
from tpl.models import (
    DeepImplicitTemplate,
    DeepImplicitTemplateConfig,
    Encoder,
    EncoderConfig,
    Template,
    Warp,
    WeightsUnavailable,
    imagenet_trunk,
    lstm,
    predictor,
    projection_head,
    resnet18_trunk,
)
from tpl.models.encoder import normalise
from tpl.models.warp import split_exactly
from tpl.settings import SettingsError

SMALL = DeepImplicitTemplateConfig(latent_dim=5, warp_hidden=16, warp_steps=3, template_hidden=16)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def trained_like(module: nn.Module) -> nn.Module:
    """Weights as large as training makes them: at its start a warp is the identity, which would hide a fault."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def points_and_codes(dim: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((2, 7, 3), generator=generator) * 2 - 1, torch.randn((2, dim), generator=generator)


def reference_warp(warp: Warp, points: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
    """The published formulation: the code concatenated to every point, PyTorch's own cell.

    After each position the coordinates beside space, if the warp has any: those of its state then, or of the code.
    """
    hidden = warp.hidden_weight.shape[1]
    cell = nn.LSTMCell(latent.shape[1] + 3, hidden)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([warp.code_weight, warp.point_weight], dim=1))
        cell.weight_hh.copy_(warp.hidden_weight)
        cell.bias_ih.copy_(warp.input_bias)
        cell.bias_hh.copy_(warp.hidden_bias)
    path = []
    for shape, code in zip(points, latent, strict=True):
        state, position, steps = None, shape, []
        for _ in range(warp.steps):
            state = cell(torch.cat([code.expand(len(shape), -1), position], dim=1), state)
            change = warp.affine(state[0])
            position = (1 + change[:, :3]) * position + change[:, 3:]
            read = (
                []
                if warp.ambient is None
                else [state[0] if warp.ambient_source == "state" else code.expand(len(shape), -1)]
            )
            steps.append(torch.cat([position, *(warp.ambient(values) for values in read)], dim=1))
        path.append(torch.stack(steps))
    return torch.stack(path, dim=1)


def test_sizes_are_the_papers():
    model = DeepImplicitTemplate()
    assert parameters(model.warp) == 1_586_182
    assert parameters(model.template) == 265_729


def test_weight_normalisation_adds_a_length_for_each_neuron():
    assert parameters(Template()) - parameters(Template(weight_norm=False)) == 5 * 256


BESIDE = [(0, "state"), (2, "state"), (2, "code")]
"""Coordinates beside space, and what they come from."""


@pytest.mark.parametrize("beside", BESIDE)
def test_the_split_product_is_the_published_warp(beside):
    warp = trained_like(Warp(5, 16, 4, *beside))
    points, latent = points_and_codes()
    torch.testing.assert_close(warp(points, latent), reference_warp(warp, points, latent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beside", BESIDE)
def test_gradients_are_those_of_the_published_warp(beside):
    warp = trained_like(Warp(5, 16, 4, *beside))
    points, latent = points_and_codes()
    gradients = []
    for forward in (warp, lambda p, c: reference_warp(warp, p, c)):
        warp.zero_grad()
        p, c = points.clone().requires_grad_(), latent.clone().requires_grad_()
        (1e-3 * forward(p, c)).sum().backward()  # small, so that the limit on the hidden state's gradient sleeps
        read_out = [*warp.affine.parameters(), *(warp.ambient.parameters() if warp.ambient else ())]
        gradients.append((p.grad, c.grad, *(weight.grad for weight in read_out)))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("steps", [1, 3])
def test_the_warp_has_the_derivative_of_its_formula(steps, beside):
    warp = trained_like(Warp(3, 2, steps, *beside)).double()
    points, latent = (values.double() for values in points_and_codes(3))
    points, latent = points[:, :2].clone().requires_grad_(), latent.requires_grad_()
    names, weights = zip(*warp.named_parameters(), strict=True)

    def path(points, latent, *weights):
        return functional_call(warp, dict(zip(names, weights, strict=True)), (points, latent))

    assert torch.autograd.gradcheck(path, (points, latent, *weights))


def compare_compiled_with_plain():
    """As it is traced; what inductor makes of the trace is torch's own business."""
    lstm.BACKEND = "aot_eager"
    warp = trained_like(Warp(latent_dim=5, hidden=16, steps=3, ambient_dim=2))
    results = []
    for compiled in (False, True):
        warp.compiled = compiled
        warp.zero_grad()
        points, latent = (values.requires_grad_() for values in points_and_codes())
        path = warp(points, latent)
        (1e-3 * path).sum().backward()
        results.append([path.detach(), points.grad, latent.grad, *(one.grad for one in warp.parameters())])
    assert lstm.compiled.cache_info().currsize == 2  # both directions were compiled
    # Positions are of the order of 1, where float32 keeps 1.2e-7: of two sums in another order some differ by more.
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=5e-7)


def test_a_compiled_cell_gives_what_the_plain_one_gives():
    """In a process of its own: what checks shapes in tests cannot be traced."""
    script = "import test_models; test_models.compare_compiled_with_plain()"
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


def test_the_gradient_of_the_hidden_state_is_limited():
    warp = trained_like(Warp(latent_dim=5, hidden=16, steps=1))
    with torch.no_grad():
        warp.affine.weight.fill_(1.0)  # a shift's gradient is the hidden state's, three coordinates added
    latent = points_and_codes()[1].requires_grad_()
    found = []
    for size in (10 / 3, 1e6):
        latent.grad = None
        warp(torch.zeros((2, 7, 3)), latent).backward(torch.full((1, 2, 7, 3), size))
        found.append(latent.grad)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("zero", [False, True])
def test_formulas_for_a_compiler_are_those_of_the_kernels(dtype, zero):
    generator = torch.Generator().manual_seed(0)
    gates = (3 * torch.randn((5, 7, 32), generator=generator)).to(dtype)
    cell, *gradients = (None if zero else 2 * torch.randn((5, 7, 8), generator=generator).to(dtype) for _ in range(2))
    state = (8 * torch.randn((5, 7, 8), generator=generator)).to(dtype)  # some beyond the limit
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 0.02, "atol": 0.02}
    fused, kernels = lstm.fused_forward(gates, cell), lstm.forward(gates.clone(), cell)
    torch.testing.assert_close(fused, kernels, **close)
    kept = *gradients, *fused[2:], cell
    close["atol"] = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(lstm.fused_backward(state, *kept), lstm.backward(state, *kept), **close)


@pytest.mark.parametrize("backward", [lstm.backward, lstm.fused_backward])
def test_the_gradient_at_the_hidden_state_is_limited_to_ten_and_untouched_below(backward):
    """As in the published network: `state.register_hook(lambda gradient: gradient.clamp(-10, 10))`."""
    gates, cell = torch.rand(6, 12) - 0.5, torch.rand(6, 3) - 0.5
    _, _, activated, squashed = lstm.forward(gates.clone(), cell)
    limited = torch.tensor([-10.0, -10.0, -9.9, 9.9, 10.0, 10.0])[:, None].expand(6, 3)
    beyond = torch.tensor([-1000.0, -10.1, -9.9, 9.9, 10.1, 1000.0])[:, None].expand(6, 3)
    small = limited / 100  # no limit is near
    found, at_limit, of_small = (backward(state, None, activated, squashed, cell) for state in (beyond, limited, small))
    for one, other, tiny in zip(found, at_limit, of_small, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        torch.testing.assert_close(one, 100 * tiny, rtol=1e-4, atol=1e-6)


def test_the_fraction_is_tanh_to_less_than_bfloat16_keeps():
    values = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    found = lstm.tanh_by_fraction(values)
    assert (found - values.tanh()).abs().max() < 1e-4
    assert (found.diff() >= 0).all() and found.abs().max() <= 1


def test_a_new_warp_is_the_identity_and_forget_biases_sum_to_two():
    warp = Warp(latent_dim=5, hidden=16, steps=8)
    points, latent = points_and_codes()
    torch.testing.assert_close(warp(points, latent)[-1], points, atol=1e-3, rtol=0)
    assert ((warp.input_bias + warp.hidden_bias)[16:32] == 2).all()


def test_without_coordinates_beside_space_the_weights_are_the_paper_s():
    """Their names, and the random numbers that they start from, layer by layer."""
    torch.manual_seed(0)
    weights = DeepImplicitTemplate(SMALL.model_copy(update={"weight_norm": False})).state_dict()
    torch.manual_seed(0)
    cell, affine = nn.LSTMCell(5 + 3, 16), nn.Linear(16, 6)
    affine.weight.data.uniform_(-1e-5, 1e-5)
    layers = [nn.Linear(3, 16), *(nn.Linear(16, 16) for _ in range(4)), nn.Linear(16, 1)]
    assert len(weights) == 5 + 2 + 2 * 6
    assert torch.equal(torch.cat([weights["warp.code_weight"], weights["warp.point_weight"]], dim=1), cell.weight_ih)
    assert torch.equal(weights["warp.hidden_weight"], cell.weight_hh)
    assert torch.equal(weights["warp.affine.weight"], affine.weight)
    names = ["first", *(f"hidden.{number}" for number in range(4)), "last"]
    for name, layer in zip(names, layers, strict=True):
        assert torch.equal(weights[f"template.{name}.weight"], layer.weight)


def test_inputs_scaled_by_their_own_fan_in_start_like_those_of_a_layer_of_their_own():
    torch.manual_seed(0)
    warp = Warp(latent_dim=32, hidden=512)
    bound = 512**-0.5
    assert 0.95 * bound < warp.point_weight.abs().max() < bound
    warp.scale_inputs()
    assert 0.95 * 3**-0.5 < warp.point_weight.abs().max() < 3**-0.5  # as nn.Linear(3, n) draws them
    assert 0.99 * 32**-0.5 < warp.code_weight.abs().max() < 32**-0.5
    assert 0.99 * bound < warp.hidden_weight.abs().max() < bound


BESIDE_SPACE = SMALL.model_copy(update={"ambient_dim": 2})


@pytest.mark.parametrize("source", ["state", "code"])
def test_the_template_reads_a_point_s_place_and_its_coordinates_beside_space(source):
    model = trained_like(DeepImplicitTemplate(BESIDE_SPACE.model_copy(update={"ambient_source": source}))).eval()
    points, latent = points_and_codes()
    path = model.warp(points, latent)
    assert path.shape == (3, 2, 7, 5)
    torch.testing.assert_close(model(points, latent), model.template(path[-1]))
    values = path[-1]
    for layer in (model.template.first, *model.template.hidden):
        values = torch.relu(nn.functional.linear(values, layer.weight, layer.bias))
    torch.testing.assert_close(model(points, latent), torch.tanh(model.template.last(values))[..., 0])
    same = (path[-1, 0, :, 3:] == path[-1, 0, :1, 3:]).all()
    assert same == (source == "code")  # a code says the same of all points of its shape


def test_shape_shapes_and_places_read_the_coordinates_beside_space():
    model = trained_like(DeepImplicitTemplate(BESIDE_SPACE)).eval()
    points, latent = points_and_codes()
    expected = model(points, latent).detach().numpy()
    for row in range(2):
        np.testing.assert_allclose(model.shape(latent[row])(points[row].numpy()), expected[row], atol=1e-5)
    found = model.shapes(latent)([points[0].numpy(), points[1].numpy()])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    last = model.warp(points, latent)[-1, 1].detach().numpy()
    np.testing.assert_allclose(model.canonical(points[1].numpy(), latent[1]), last[:, :3], atol=1e-5)
    places = model.places(points[1].numpy(), latent[1], beside=0.3)
    np.testing.assert_allclose(places, np.hstack([last[:, :3], 0.3 * last[:, 3:]]), atol=1e-5)


def test_the_template_is_cut_at_the_mean_coordinates_or_where_one_says():
    model = trained_like(DeepImplicitTemplate(BESIDE_SPACE)).eval()
    points, _ = points_and_codes()
    for mean in (torch.zeros(2), torch.tensor([0.4, -0.7])):
        model.ambient_mean.copy_(mean)
        inputs = torch.cat([points[0], mean.expand(7, -1)], dim=1)
        np.testing.assert_allclose(
            model.template_shape()(points[0].numpy()), model.template(inputs).detach().numpy(), atol=1e-6
        )
    elsewhere = torch.tensor([1.0, 2.0])
    inputs = torch.cat([points[0], elsewhere.expand(7, -1)], dim=1)
    cut = model.template_shape(elsewhere)(points[0].numpy())
    np.testing.assert_allclose(cut, model.template(inputs).detach().numpy(), atol=1e-6)


def test_mean_and_principal_directions_are_those_of_what_was_seen():
    model = DeepImplicitTemplate(SMALL.model_copy(update={"ambient_dim": 3}))
    turn = torch.linalg.qr(torch.randn((3, 3), generator=torch.Generator().manual_seed(1)))[0]
    generator, spread = torch.Generator().manual_seed(0), torch.tensor([0.1, 2.0, 0.5])
    for _ in range(1500):
        model.observe(torch.randn((4, 200, 3), generator=generator) * spread @ turn.T + torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(model.ambient_mean, torch.tensor([1.0, 2.0, 3.0]), atol=0.02, rtol=0)
    directions = model.ambient_directions()
    torch.testing.assert_close(directions.norm(dim=1), torch.tensor([2.0, 0.5, 0.1]), rtol=0.03, atol=0)
    along = nn.functional.normalize(directions, dim=1) @ turn[:, [1, 2, 0]]
    torch.testing.assert_close(along.abs(), torch.eye(3), atol=0.02, rtol=0)
    with pytest.raises(ValueError, match="no coordinates beside space: its ambient_dim is 0"):
        DeepImplicitTemplate(SMALL).ambient_directions()


def test_shapes_of_a_batch_do_not_see_each_other():
    model = trained_like(DeepImplicitTemplate(BESIDE_SPACE)).eval()
    points, latent = points_and_codes()
    alone = torch.cat([model(points[row : row + 1], latent[row : row + 1]) for row in range(2)])
    torch.testing.assert_close(model(points, latent), alone, rtol=1e-4, atol=1e-6)


def test_the_model_is_the_template_after_the_warp_and_within_tanh():
    model = trained_like(DeepImplicitTemplate(SMALL)).eval()
    points, latent = points_and_codes()
    sdf = model(points, latent)
    torch.testing.assert_close(sdf, model.template(model.warp(points, latent)[-1]))
    assert sdf.abs().max() <= 1


def test_shape_is_the_model_on_numpy_points_and_leaves_its_mode():
    model = trained_like(DeepImplicitTemplate(SMALL)).train()
    points, latent = points_and_codes()
    sdf = model.shape(latent[1])(points[1].double().numpy())
    assert model.training
    np.testing.assert_allclose(sdf, model.eval()(points, latent)[1].detach().numpy(), atol=1e-5)
    template = model.template_shape()(points[0].numpy())
    np.testing.assert_allclose(template, model.template(points[0]).detach().numpy(), atol=1e-5)


def test_dropout_acts_in_training_alone():
    template = Template(hidden=32, dropout=0.5)
    points = torch.rand(50, 3)
    assert not torch.equal(template.train()(points), template(points))
    assert torch.equal(template.eval()(points), template(points))


def test_bfloat16_stays_near_the_full_precision():
    model = trained_like(DeepImplicitTemplate(SMALL)).eval()
    points, latent = points_and_codes()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.warp(points, latent)
    assert half.dtype == torch.float32  # positions keep all their bits
    torch.testing.assert_close(half, model.warp(points, latent), rtol=0.05, atol=0.05)


def test_a_number_and_its_remainder_keep_sixteen_bits():
    values = torch.rand(1000) * 2 - 1
    parts = split_exactly(values, torch.bfloat16)
    assert all(part.dtype == torch.bfloat16 for part in parts)
    error = (sum(part.double() for part in parts) - values.double()).abs().max()
    assert error < 2**-16 < (parts[0].double() - values).abs().max()
    assert len(split_exactly(values, torch.float32)) == 1


def test_shapes_are_checked_in_this_very_run():
    with pytest.raises(TypeCheckError):
        Template()(torch.zeros(5, 2))


def test_a_warp_needs_a_step():
    with pytest.raises(ValueError, match="at least 1 step, not 0"):
        Warp(steps=0)


def test_the_trunk_is_torchvisions_resnet18():
    from torchvision.models import resnet18

    reference = resnet18(num_classes=10)
    trunk = resnet18_trunk(64)
    weights = {name: value for name, value in reference.state_dict().items() if not name.startswith("fc.")}
    trunk.load_state_dict(weights, strict=True)
    images = torch.rand(2, 3, 64, 64)
    reference.fc = nn.Identity()
    torch.testing.assert_close(trunk.eval()(images), reference.eval()(images), rtol=1e-3, atol=1e-4)


def test_an_encoder_that_was_standardised_starts_at_the_mean_code():
    encoder = Encoder(EncoderConfig(latent_dim=4, width=8)).eval()
    codes = torch.tensor([[1.0, 2, 3, 4], [3, 2, 1, 0]])
    encoder.standardise(codes)
    nn.init.zeros_(encoder.head.weight)
    nn.init.zeros_(encoder.head.bias)
    torch.testing.assert_close(encoder(torch.rand(3, 3, 32, 32)), codes.mean(dim=0).expand(3, -1))
    nn.init.ones_(encoder.head.bias)
    spread = codes.mean(dim=0) + codes.std(dim=0, correction=0)
    torch.testing.assert_close(encoder(torch.rand(1, 3, 32, 32))[0, [0, 2, 3]], spread[[0, 2, 3]])


def test_a_head_of_two_layers_bends_between_them_and_one_layer_keeps_its_weights_names():
    one = Encoder(EncoderConfig(latent_dim=4, width=8))
    two = Encoder(EncoderConfig(latent_dim=4, width=8, head_layers=2)).eval()
    assert parameters(one.head) == 64 * 4 + 4 and "head.weight" in one.state_dict()
    assert parameters(two.head) == 64 * 64 + 64 + 64 * 4 + 4
    images = torch.rand(3, 3, 32, 32)
    hidden = torch.relu(two.head[0](two.features(images)))
    torch.testing.assert_close(two(images), hidden @ two.head[2].weight.T + two.head[2].bias)
    with pytest.raises(ValidationError, match="head_layers"):
        EncoderConfig.model_validate({"head_layers": 3})


def squares(*places: tuple[int, int, int], size: int = 64) -> torch.Tensor:
    """Images of one square each: its left and upper border, and its side."""
    images = torch.ones(len(places), 3, size, size)
    for image, (left, top, side) in zip(images, places, strict=True):
        image[:, top : top + side, left : left + side] = torch.tensor([0.8, 0.4, 0.1])[:, None, None]
    return images


def test_a_crop_shows_the_same_wherever_the_object_is_and_the_box_says_where_it_was():
    encoder = Encoder(EncoderConfig(latent_dim=4, width=8, crop=True))
    images = squares((16, 8, 16), (40, 30, 16), (10, 20, 32))
    seen, box = encoder.looked_at(images)
    torch.testing.assert_close(seen[1], seen[0])
    ink = (1 - seen).mean(dim=(1, 2, 3)) / (1 - images).amax(dim=(2, 3)).mean(dim=1)
    torch.testing.assert_close(ink, torch.full((3,), 1 / 1.1**2), atol=0.02, rtol=0)
    middles = torch.tensor([[24.0, 16], [48, 38], [26, 36]]) / 64 - 0.5
    sides = 1.1 * torch.tensor([16.0, 16, 32]) / 64
    torch.testing.assert_close(box, torch.cat([4 * middles, 2 * (sides - 0.6)[:, None]], dim=1))
    encoder.eval()
    codes, features = encoder(images), encoder.features(images)
    torch.testing.assert_close(features[:, -3:], box)
    torch.testing.assert_close(features[1, :-3], features[0, :-3])
    assert (codes[0] - codes[1]).abs().max() > 1e-3  # the head knows the box


def test_the_channels_of_a_mask_are_luma_ground_and_their_mean():
    encoder = Encoder(EncoderConfig(latent_dim=4, width=8, channels="mask"))
    seen, box = encoder.looked_at(squares((16, 8, 16)))
    inside, outside = seen[0, :, 12, 20], seen[0, :, 40, 40]
    luma = 0.299 * 0.8 + 0.587 * 0.4 + 0.114 * 0.1
    torch.testing.assert_close(inside, torch.tensor([luma, 0, luma / 2]))
    torch.testing.assert_close(outside, torch.ones(3))
    assert box.shape == (1, 0)


def test_an_encoder_without_our_ingredients_has_the_papers_weights():
    """Its start is as it was: the same draws of the same generator, and no weight more."""
    torch.manual_seed(0)
    trunk, head = resnet18_trunk(8), nn.Linear(64, 4)
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(latent_dim=4, width=8)).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(encoder(images), head(trunk.eval()(normalise(images))))
    assert {name.split(".")[0] for name in encoder.state_dict()} == {"trunk", "head", "latent_mean", "latent_std"}


def test_features_of_parts_are_the_parts_means():
    whole, parts = (resnet18_trunk(8, pool).eval() for pool in (1, 2))
    parts.load_state_dict(whole.state_dict())
    images = torch.rand(2, 3, 64, 64)
    features = parts(images).view(2, 64, 4)
    torch.testing.assert_close(features.mean(dim=2), whole(images))
    assert features.std(dim=2).max() > 1e-3


def test_an_encoder_without_a_head_for_cameras_says_so():
    images = np.full((1, 32, 32, 3), 255, np.uint8)
    with pytest.raises(SettingsError, match="names no cameras"):
        estimate_cameras(Encoder(EncoderConfig(latent_dim=4, width=8)), images)


def test_a_trunk_sees_images_in_the_units_of_imagenet():
    from torchvision.models import ResNet18_Weights

    images = torch.rand(2, 3, 224, 224)
    reference = ResNet18_Weights.IMAGENET1K_V1.transforms(resize_size=224)
    torch.testing.assert_close(normalise(images), reference(images), rtol=1e-4, atol=1e-5)


@pytest.fixture
def weight_file(tmp_path, monkeypatch):
    """Where torchvision keeps its ImageNet weights, in a folder that holds none; nothing is downloaded."""

    def refuse(*arguments, **options):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / "resnet18-f37072fd.pth"


def test_imagenet_weights_are_loaded_as_torchvision_has_them(weight_file):
    from torchvision.models import resnet18

    torch.manual_seed(3)
    reference = resnet18(weights=None).train()
    reference(torch.rand(4, 3, 64, 64))  # so that the running statistics are not the initial ones
    torch.save(reference.state_dict(), weight_file)
    reference.fc = nn.Identity()
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(imagenet_trunk().eval()(images), reference.eval()(images), rtol=1e-3, atol=1e-4)


def test_imagenet_weights_that_cannot_be_had_are_one_sentence(weight_file):
    with pytest.raises(WeightsUnavailable) as refusal:
        imagenet_trunk()
    sentence = str(refusal.value)
    assert f"no route to host>): put {weight_file.name} into {weight_file.parent}" in sentence
    assert "\n" not in sentence
    weight_file.write_bytes(b"no weights")
    with pytest.raises(WeightsUnavailable, match="resnet18-f37072fd.pth into"):
        imagenet_trunk()
    torch.save({"conv1.weight": torch.zeros(1)}, weight_file)
    with pytest.raises(WeightsUnavailable, match="does not hold torchvision's ResNet-18: remove it"):
        imagenet_trunk()
    with pytest.raises(SettingsError, match="of width 64, not 32"):
        imagenet_trunk(32)


def test_heads_are_as_wide_as_the_trunk_s_features():
    head, guess = projection_head(64), predictor(32)
    assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] == [(64, 64), (128, 64)]
    assert parameters(projection_head()) == 512 * 512 + 512 + 512 * 128 + 128
    assert guess(head(torch.rand(3, 64))).shape == (3, 128)
