"""What chapters make of the trained networks of each category, all categories at the same time."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tpl.study.bench import Bench
from tpl.study.trained import Trained

Result = TypeVar("Result")


def with_trained(
    bench: Bench, work: Callable[..., Result], of: Mapping[str, Mapping[str, Any]] | None = None, **options: Any
) -> dict[str, Result]:
    """What some work comes to with what was trained for each category, in a process each as `Bench.each` does it.

    Args:
        bench: Of all categories.
        work: Takes the `Trained` of one; it and what it returns can be pickled.
        of: Further arguments of the work that differ, by their name and then by the category.
        options: Further arguments that do not.

    Raises:
        RunError: Phase 1 of a category is missing or broken.
    """

    def on_one(one: Bench) -> Result:
        own = {name: values[one.category] for name, values in (of or {}).items()}
        return work(Trained(one), **own, **options)

    return bench.each(on_one)
