"""The script that Lookalike replaces, step by step with the same Keras calls, for comparing with it.

    python bench/script.py FOLDER WEIGHTS OUT

WEIGHTS is a file that InceptionV3 with its classifier was saved to (the script itself says weights="imagenet",
which loads such a file). Writes OUT/img_embeddings.txt and OUT/indexes.txt. Like the script it swallows files that
it cannot read and numbers by the position in the folder.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras.applications.inception_v3 import InceptionV3, preprocess_input


def main(folder: Path, weights: Path, out: Path) -> None:
    base = InceptionV3(weights=None)
    base.load_weights(weights)
    model = keras.Model(base.input, base.get_layer("avg_pool").output)
    images, lines = [], []
    for position, path in enumerate(sorted(folder.iterdir())):
        try:
            image = keras.utils.load_img(path, target_size=(299, 299))
        except Exception:  # noqa: BLE001  as the script does
            continue
        pixels = np.expand_dims(keras.utils.img_to_array(image), axis=0)
        images.append(preprocess_input(pixels))
        lines.append(f"{path.name}\x01{position}\n")
    features = model.predict(np.concatenate(images), verbose=0)
    out.mkdir(parents=True, exist_ok=True)
    np.savetxt(out / "img_embeddings.txt", features)
    (out / "indexes.txt").write_text("".join(lines))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
