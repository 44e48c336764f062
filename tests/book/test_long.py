"""Profile long: compared with quick on the very same shapes, and small enough for the repository."""

import pytest
import torch

from tpl.book.book import Book
from tpl.book.commands import ROOT
from tpl.book.hyperparameters import choose, collection_config
from tpl.dataset.collection import Collection, CollectionConfig
from tpl.models import DeepImplicitTemplate, Encoder
from tpl.pretrained.files import LARGEST
from tpl.shapes.shape import CATEGORIES
from tpl.study.bench import Bench
from tpl.study.phases import configure

BOOK = Book(ROOT)


FEWER = 16
"""Of so many training shapes one is listed: which shapes are drawn does not depend on how many there are."""


def listed(profile: str, category: str) -> dict[str, list[str]]:
    config = collection_config(choose(BOOK, "01", profile, {}).values)
    less = {name: getattr(config, name) // FEWER for name in ("train", "coded", "small")}
    collection = Collection(ROOT, config.model_copy(update=less))
    ids = {"train": [], "validation": [], "test": []}
    for shape in [*collection.listed(category), *collection.listed_small(category)]:
        ids[shape.split].append(shape.id)
    return ids


@pytest.mark.parametrize("category", CATEGORIES)
def test_it_is_judged_on_the_shapes_of_quick_and_learns_from_those_and_more(category):
    quick, long = (listed(profile, category) for profile in ("quick", "long"))
    assert long["test"] == quick["test"] and len(long["test"]) == 16
    assert len(long["validation"]) == 40 and long["validation"][: len(quick["validation"])] == quick["validation"]
    assert long["train"][: len(quick["train"])] == quick["train"] and len(long["train"]) == 4096 // FEWER


def test_its_views_and_samples_are_those_of_quick():
    """So the rows of both are of the same pictures and the same truth."""
    quick, long = (collection_config(choose(BOOK, "01", profile, {}).values) for profile in ("quick", "long"))
    assert long.prepare == quick.prepare and long.prepare_small == quick.prepare_small and long.seed == quick.seed
    changed = {"data", "runs"}
    quick, long = (choose(BOOK, "07", profile, {}).values for profile in ("quick", "long"))
    assert {name for name in quick if quick[name] != long[name]} == changed


@pytest.mark.parametrize("category", CATEGORIES)
def test_its_networks_fit_into_what_the_repository_carries(category, tmp_path):
    shapes = choose(BOOK, "01", "long", {}).values
    bench = Bench(tmp_path, Collection(tmp_path, CollectionConfig()), (category,))
    phase_1 = configure("our_embedding", choose(BOOK, "03", "long", {}).values, bench)
    phase_2 = configure("our_encoder", choose(BOOK, "04", "long", {}).values, bench)
    size = {"latent_dim": phase_1.model.latent_dim, "image_size": shapes["image_size"]}
    networks = DeepImplicitTemplate(phase_1.model), Encoder(phase_2.encoder.model_copy(update=size))
    codes = torch.zeros(shapes["coded_shapes"], phase_1.model.latent_dim)
    tensors = [codes, *(tensor for network in networks for tensor in network.state_dict().values())]
    halved = [t.half() if t.is_floating_point() else t for t in tensors]
    names = 200 * len(halved)  # bytes: a tensor's name, type and place in the file
    assert sum(t.numel() * t.element_size() for t in halved) + names < LARGEST
