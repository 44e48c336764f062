"""What learns from images: phase 2, contrastive pre-training, and the path of the images to the network.

Plain is what a first script does: torchvision's ResNet-18 in its usual memory layout, one picture after the other
through torchvision's own augmentations, and the decoder as `benchmarks.phase_1` states it.
"""

import torch
from torch import nn
from torchvision import transforms
from torchvision.models import resnet18

from benchmarks.measuring import interleaved, matrix_peak, operations, table
from benchmarks.phase_1 import Plain
from tpl.dataset.batches import SDFTable, ViewSDFBatch, ViewTable, color_jitter
from tpl.losses import curriculum_l1, nt_xent_loss
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig
from tpl.models.encoder import resnet18_trunk
from tpl.training.contrastive import ContrastiveConfig, SimCLR, draw_view_pairs
from tpl.training.embedding import EmbeddingRun, draw_rows
from tpl.training.precision import half_precision
from tpl.training.regression import RegressionConfig, RegressionObjective

SIZES = {64: 24, 128: 12, 224: 6}  # pixels a side, and images in a step
LATENT, POINTS = 64, 64
HALF = half_precision("auto", torch.device("cpu"))
FORMAT = torch.bfloat16 if HALF else torch.float32
HEAD = f"step | plain in fp32, images/s | ours in {str(FORMAT).partition('.')[2]} | ratio | of the matrix peak"
JITTER = transforms.ColorJitter(0.4, 0.4, 0.4, 0.4)


def decoder() -> DeepImplicitTemplate:
    sizes = DeepImplicitTemplateConfig(
        latent_dim=LATENT, warp_hidden=128, template_hidden=128, dropout=0.0, weight_norm=False
    )
    return DeepImplicitTemplate(sizes)


def tables(size: int, shapes: int = 48) -> tuple[ViewTable, SDFTable]:
    """Views and samples of shapes that do not exist."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (shapes, 8, 3, size, size), dtype=torch.uint8, generator=generator)
    samples = torch.rand(shapes, 2000, 4, generator=generator) - 0.5
    return ViewTable(images), SDFTable.from_rows(samples, samples[:, :1000], "cpu")


def phase_2() -> list[str]:
    """a step of phase 2 through the frozen decoder, drawing and augmentation included."""
    rows, peak = [], matrix_peak(FORMAT)
    for size, batch in SIZES.items():
        torch.manual_seed(0)
        views, samples = tables(size)
        config = RegressionConfig(
            encoder=EncoderConfig(latent_dim=LATENT, image_size=size),
            views_per_batch=batch,
            sdf_weight=10.0,
            points_per_view=POINTS,
        )
        ours = RegressionObjective(EmbeddingRun(decoder(), torch.randn(48, LATENT), None), config)  # type: ignore[arg-type]
        frozen = decoder().requires_grad_(False)
        plain, reader = Plain(frozen), resnet18(num_classes=LATENT)
        generator = torch.Generator().manual_seed(0)

        def published(views=views, samples=samples, plain=plain, reader=reader, batch=batch, generator=generator):
            rows = draw_rows(len(views), batch, generator)
            drawn = samples.draw(rows, POINTS, generator, 0.4, 0.4)
            image = torch.stack([JITTER(one) for one in views.draw(rows, generator)])
            predicted = plain.outputs(drawn.points, reader(image), [7])[0]
            curriculum_l1(predicted, drawn.sdf).backward()

        def step(views=views, samples=samples, ours=ours, batch=batch, generator=generator):
            rows = draw_rows(len(views), batch, generator)
            drawn = samples.draw(rows, POINTS, generator, 0.4, 0.4)
            image = color_jitter(views.draw(rows, generator), generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                terms = ours(ViewSDFBatch(image, drawn.points, drawn.sdf, rows), 1.0)
            sum(terms.values()).backward()

        found = interleaved({"plain": published, "ours": step}, 3)
        share = operations(step) / found["ours"] / peak
        rows.append((f"{size} px, {batch} images of {POINTS} points", *rate_columns(batch, found), f"{share:.0%}"))
    return table(HEAD, rows)


def contrastive() -> list[str]:
    """a step of SimCLR, drawing and augmentation included."""
    crop = transforms.RandomResizedCrop
    rows, peak = [], matrix_peak(FORMAT)
    for size, batch in SIZES.items():
        torch.manual_seed(0)
        views, _ = tables(size)
        config = ContrastiveConfig(encoder=EncoderConfig(image_size=size), pairs_per_batch=batch)
        ours, generator = SimCLR(config, resnet18_trunk(64)), torch.Generator().manual_seed(0)
        reader = resnet18(num_classes=512)
        reader = nn.Sequential(reader, nn.ReLU(), nn.Linear(512, 128))
        augment = transforms.Compose([crop(size, scale=(0.5, 1.0), antialias=True), JITTER])

        def published(views=views, reader=reader, batch=batch, generator=generator, augment=augment):
            pairs = views.draw_pairs(draw_rows(len(views), batch, generator), generator)
            first, second = (torch.stack([augment(one) for one in side]) for side in (pairs.first, pairs.second))
            nt_xent_loss(reader(first), reader(second), 0.07).backward()

        def step(views=views, ours=ours, batch=batch, generator=generator, config=config):
            pairs = draw_view_pairs(views, draw_rows(len(views), batch, generator), generator, config)
            with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                sum(ours(pairs, 0.0).values()).backward()

        found = interleaved({"plain": published, "ours": step}, 3)
        share = operations(step) / found["ours"] / peak
        rows.append((f"{size} px, {batch} pairs", *rate_columns(2 * batch, found), f"{share:.0%}"))
    return table(HEAD, rows)


def feeding() -> list[str]:
    """images a second of an encoder that draws and augments, against the same one with one constant batch."""
    rows = []
    for size, width in ((64, 16), (64, 64), (128, 64), (224, 64)):
        batch = 2 * SIZES[size]
        views, _ = tables(size)
        encoder, generator = Encoder(EncoderConfig(latent_dim=LATENT, width=width)), torch.Generator().manual_seed(0)
        constant = views.draw(draw_rows(48, batch, generator), generator)

        def learn(image, encoder=encoder):
            with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
                encoder(image).square().mean().backward()

        def fed(views=views, learn=learn, generator=generator, batch=batch):
            learn(color_jitter(views.draw(draw_rows(48, batch, generator), generator), generator))

        found = interleaved({"constant": lambda learn=learn, constant=constant: learn(constant), "fed": fed}, 7)
        share = found["constant"] / found["fed"]
        rows.append(
            (
                f"{size} px, width {width}",
                f"{batch / found['constant']:.0f}",
                f"{batch / found['fed']:.0f}",
                f"{share:.1%}",
            )
        )
    return table("encoder | constant batch, images/s | drawn and augmented | share", rows)


def rate_columns(count: int, found: dict[str, float]) -> tuple[str, str, str]:
    plain, ours = found["plain"], found["ours"]
    return f"{count / plain:.1f}", f"{count / ours:.1f}", f"{plain / ours:.2f}"


PARTS = {"phase_2": phase_2, "contrastive": contrastive, "feeding": feeding}
