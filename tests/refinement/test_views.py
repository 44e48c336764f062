"""What an encoder sees in images is fitted view by view: no outline becomes worse, none depends on another."""

import numpy as np
import pytest
import torch
import trimesh
from fields import UNIT, chair_mesh

from tpl.inference import Reconstructor
from tpl.models import DeepImplicitTemplate, DeepImplicitTemplateConfig, Encoder, EncoderConfig
from tpl.refinement import RefinementConfig, RefinementError, Start, refine_views, seen_in
from tpl.rendering import FIXED, Camera, composite, render_view
from tpl.settings import SettingsError

SHORT = RefinementConfig(steps=3, camera_steps=2, rays=32)


@pytest.fixture(scope="module")
def arm() -> Reconstructor:
    torch.manual_seed(0)
    sizes = DeepImplicitTemplateConfig(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=8, template_layers=2)
    encoder = Encoder(EncoderConfig(width=8, image_size=32, latent_dim=4, camera=True))
    return Reconstructor(encoder, DeepImplicitTemplate(sizes), 0.1 * torch.randn(5, 4))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    chair = chair_mesh()
    raw = trimesh.Trimesh(UNIT.undo(chair.vertices), chair.faces, process=False)
    views = [render_view(raw, camera, 32, samples=4) for camera in (FIXED, Camera(70, 10, 1.5), Camera(200, 35, 1.6))]
    return np.stack([composite(view) for view in views])


@pytest.mark.parametrize("config", [SHORT, SHORT.model_copy(update={"camera_known": True})])
def test_no_outline_is_worse_than_at_the_start_and_none_depends_on_company_or_processes(arm, images, config):
    start = seen_in(arm, images)
    fit = refine_views(arm, images, start, config)
    assert (fit.after.error <= fit.before.error).all()
    assert config.camera_known or (fit.after.error < fit.before.error).any()
    assert all(torch.equal(part, seen) for part, seen in zip(fit.before, start, strict=False))
    assert torch.equal(fit.after.poses, start.poses) == config.camera_known
    alone = refine_views(arm, images[1:2], Start(*(part[1:2] for part in start)), config)
    for one, all_together in zip((*alone.before, *alone.after), (*fit.before, *fit.after), strict=True):
        assert torch.equal(one, all_together[1:2])
    in_processes = refine_views(arm, images, start, config, jobs=2)
    for part, other in zip(in_processes.after, fit.after, strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=1e-5)


def test_an_image_without_an_outline_keeps_what_the_encoder_sees(arm, images):
    nothing, full = np.full_like(images[:1], 255), np.zeros_like(images[:1])
    mixed = np.concatenate([nothing, images[:1], full])
    start = seen_in(arm, mixed)
    fit = refine_views(arm, mixed, start, SHORT)
    assert fit.after.error.isnan().tolist() == [True, False, True]
    for row in (0, 2):
        assert torch.equal(fit.after.codes[row], start.codes[row])
        assert torch.equal(fit.after.poses[row], start.poses[row])
    kept = refine_views(arm, nothing, Start(*(part[:1] for part in start)), SHORT)
    assert torch.equal(kept.after.codes, start.codes[:1])


def test_what_cannot_be_refined_is_refused(arm, images):
    blind = Reconstructor(Encoder(EncoderConfig(width=8, image_size=32, latent_dim=4)), arm.model, arm.codes)
    with pytest.raises(SettingsError, match="names no cameras: train one"):
        seen_in(blind, images)
    with pytest.raises(RefinementError, match="make them square"):
        refine_views(arm, images[:, :20], seen_in(arm, images), SHORT)
