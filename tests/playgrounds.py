"""A category in miniature that can be played with, for tests on paper and in a browser."""

from pathlib import Path

from tpl.dataset.collection import CollectionConfig, open_collection
from tpl.dataset.prepare import PrepareConfig
from tpl.study.bench import Bench
from tpl.study.methods import OUR_ENCODER, OUR_PHASE_1, PHASE_1
from tpl.study.trainings import embed_category, regress_category
from tpl.training import embedding_config, regression_config

TINY = dict(latent_dim=4, warp_hidden=8, warp_steps=2, template_hidden=16, template_layers=2, dropout=0.0)
SHORT = dict(epochs=150, shapes_per_batch=4, points_per_shape=64, outputs="last", pointpair_weight=0.0, cross_share=0.0)
FAST = dict(warp_rate=5e-3, template_rate=5e-3, code_rate=1e-2, precision="fp32")


def small_bench(folder: Path) -> Bench:
    """Four chairs in `data` with both kinds of decoder, and an encoder onto ours, in `runs`."""
    amounts = PrepareConfig(sdf_samples=1000, surface_points=1000, easy_views=2, hard_views=1, image_size=16)
    config = CollectionConfig(train=4, coded=4, validation=0, test=2, prepare=amounts)
    bench = Bench(folder / "runs", open_collection(folder / "data", ["chairs"], config, jobs=1), ("chairs",))
    for name, dim in ((PHASE_1, 0), (OUR_PHASE_1, 2)):
        embed_category(bench, embedding_config(model={**TINY, "ambient_dim": dim}, **SHORT, **FAST), name)
    encoder = regression_config(encoder=dict(latent_dim=4, width=8), epochs=1, views_per_batch=2, precision="fp32")
    regress_category(bench, encoder, OUR_ENCODER)
    return bench
