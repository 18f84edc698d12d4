"""InceptionV3: 299 x 299 pixels, preprocessed by `x / 127.5 - 1`, to 2048 features (`avg_pool`).

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016.

Its taps were not measured with ImageNet weights; with another training, these two took precision@5 from 0.275 to 0.418.
"""

from services.encoders.keras.keras_applications import application
from services.encoders.network import Network, Tap


def network() -> Network:
    """The registry entry of InceptionV3."""
    return application(
        name="inception_v3",
        function="InceptionV3",
        size=299,
        dim=2048,
        file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        taps=(Tap("mixed7", 768), Tap("mixed9", 2048)),
    )
