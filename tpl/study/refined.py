"""Outlines before and after a refinement, and what became of the shapes, as a chapter shows them."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8

from tpl.evaluation.rows import WORST
from tpl.files import digest, write_file
from tpl.refinement import RefinementConfig, coverage, intersection_over_union, outlines, refine_views, seen_in
from tpl.source_code import MAKERS, code_digest
from tpl.study.bench import Bench
from tpl.study.exam import split_views
from tpl.study.methods import ENCODERS, OUR_ENCODER
from tpl.study.trained import Trained, score_codes


class FittedViews:
    """Views of some shapes, each with what our encoder sees in it, before and after that is fitted to its outline.

    `table` has a row a view: `category`, `shape_id`, `view`, `seconds` of the fit, and with `before` and `after` behind
    their names the mean `error` of the outline (pixels), the silhouettes' `iou`, and the Chamfer distance (x 1000;
    without a surface the worst there is).
    """

    def __init__(self, bench: Bench, count: int, config: RefinementConfig | None = None, split: str = ""):
        """Fits the fixed and one random view of the first shapes of a split, or reads what was fitted before.

        Args:
            bench: Of a category whose own encoder of ours names cameras.
            count: Shapes.
            config: Of the fit.
            split: Of the shapes; by default the one that settings are tried on.

        Raises:
            RunError: The encoder is not trained.
            SettingsError: It has no head for the camera.
        """
        trained = Trained(bench, [ENCODERS[OUR_ENCODER]])
        shapes, config = bench.shapes(split or bench.trial_split)[:count], config or RefinementConfig()
        views, names = split_views(shapes, bench.store, 1, bench.seed)
        self.images: UInt8[np.ndarray, "views size size 3"] = views.reshape(-1, *views.shape[2:])
        kept = self._fitted(trained, config, bench.store.fingerprint(shapes))
        self.before: Float[np.ndarray, "views size size"] = kept["outlines"][0]  # as `silhouettes`, in pixels
        self.after: Float[np.ndarray, "views size size"] = kept["outlines"][1]
        asked = [(shape, name) for shape in shapes for name in names]
        self.table = pd.DataFrame(
            {
                "category": bench.category,
                "shape_id": [shape.id for shape, _ in asked],
                "view": [name for _, name in asked],
                "seconds": float(kept["seconds"]) / len(asked),
            }
        )
        for place, when in enumerate(("before", "after")):
            codes = torch.from_numpy(kept["codes"][place]).to(bench.device)
            scores = score_codes(trained, [(*of, OUR_ENCODER, code) for of, code in zip(asked, codes, strict=True)])
            self.table[f"error {when}"], self.table[f"iou {when}"] = kept["error"][place], kept["iou"][place]
            self.table[f"chamfer {when}"] = 1000 * scores.chamfer.fillna(WORST).to_numpy()

    def _fitted(self, trained: Trained, config: RefinementConfig, data: str) -> dict[str, np.ndarray]:
        trained.decoder(OUR_ENCODER)  # says what is missing
        bench, arm = trained.bench, trained.arms[OUR_ENCODER]
        weights = [
            bench.run(folder).digest() for folder in (ENCODERS[OUR_ENCODER].folder, ENCODERS[OUR_ENCODER].decoder)
        ]
        code = code_digest("tpl.study.refined", without=MAKERS)
        key = digest(code, weights, data, self.images.tobytes(), config.model_dump_json())
        path = bench.shelf / "refined" / f"{key}.npz"
        if not path.exists():
            size = self.images.shape[1]
            fit = refine_views(arm, self.images, seen_in(arm, self.images), config, bench.jobs)
            ends = (fit.before, fit.after)
            drawn = [outlines(arm.model, end, size).cpu() for end in ends]
            covered = coverage(self.images, size)
            arrays = {
                "codes": np.stack([end.codes.cpu().numpy() for end in ends]),
                "error": np.stack([end.error.cpu().numpy() for end in ends]),
                "iou": np.stack([intersection_over_union(0.5 - part, covered).numpy() for part in drawn]),
                "outlines": np.stack([part.numpy() for part in drawn]),
                "seconds": np.array(fit.seconds),
            }
            write_file(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
        with np.load(path) as arrays:
            return dict(arrays)


def worst_middle_best(
    change: Float[np.ndarray, " views"], worst: int = 3, middle: int = 4, best: int = 3
) -> Int[np.ndarray, " shown"]:
    """The places of the largest, the median and the smallest of some changes, in this order; all if there are no more.

    So that pictures are not chosen by hand.
    """
    order = np.argsort(-change, kind="stable")
    if len(order) <= worst + middle + best:
        return order
    first = (len(order) - middle) // 2
    first = min(max(first, worst), len(order) - best - middle)
    return np.concatenate([order[:worst], order[first : first + middle], order[-best:]])
