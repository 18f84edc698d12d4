"""The networks of `keras.applications` that there is an encoder for, an entry each.

Which layers are taps was chosen by the likeness to those of EfficientNet-Lite0, which were measured: what comes before
the last halving of the resolution, and what comes late after it. None was measured with ImageNet weights, which are
not in any package. Layers that Keras numbers (`activation_17`) cannot be taps: the number counts those of the process.
"""

from services.encoders.keras.keras_applications import application
from services.encoders.network import Network, Tap


def applications() -> list[Network]:
    """The entries."""
    return [inception_v3(), mobilenet_v3_large(), resnet50_v2(), efficientnet_v2_b0(), convnext_tiny()]


def inception_v3() -> Network:
    """Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016.

    With another training than ImageNet's, these two taps took precision@5 from 0.275 to 0.418.
    """
    return application(
        name="inception_v3",
        module="inception_v3",
        function="InceptionV3",
        size=299,
        dim=2048,
        headless="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        whole="inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
        folder="inception_v3",
        taps=(Tap("mixed7", 768), Tap("mixed9", 2048)),
    )


def mobilenet_v3_large() -> Network:
    """Howard et al., Searching for MobileNetV3, ICCV 2019; without the layer of 1280 numbers of its classifier.

    Its activations have no names; the generalized mean takes of the normalizations before them what is positive.
    """
    return application(
        name="mobilenet_v3_large",
        module="mobilenet_v3",
        function="MobileNetV3Large",
        size=224,
        dim=960,
        headless="weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        whole="weights_mobilenet_v3_large_224_1.0_float.h5",
        folder="mobilenet_v3",
        taps=(Tap("expanded_conv_12_expand_bn", 672), Tap("expanded_conv_14_expand_bn", 960)),
    )


def resnet50_v2() -> Network:
    """He et al., Identity Mappings in Deep Residual Networks, ECCV 2016."""
    return application(
        name="resnet50_v2",
        module="resnet_v2",
        function="ResNet50V2",
        size=224,
        dim=2048,
        headless="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        whole="resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
        folder="resnet",
        taps=(Tap("conv4_block6_preact_relu", 1024), Tap("conv5_block3_preact_relu", 2048)),
    )


def efficientnet_v2_b0() -> Network:
    """Tan and Le, EfficientNetV2: Smaller Models and Faster Training, ICML 2021."""
    return application(
        name="efficientnet_v2_b0",
        module="efficientnet_v2",
        function="EfficientNetV2B0",
        size=224,
        dim=1280,
        headless="efficientnetv2-b0_notop.h5",
        whole="efficientnetv2-b0.h5",
        folder="efficientnet_v2",
        taps=(Tap("block6a_expand_activation", 672), Tap("block6h_expand_activation", 1152)),
    )


def convnext_tiny() -> Network:
    """Liu et al., A ConvNet for the 2020s, CVPR 2022; its features are normalized after the mean over the picture."""
    return application(
        name="convnext_tiny",
        module="convnext",
        function="ConvNeXtTiny",
        size=224,
        dim=768,
        headless="convnext_tiny_notop.h5",
        whole="convnext_tiny.h5",
        folder="convnext",
        taps=(Tap("convnext_tiny_stage_2_block_8_gelu", 1536), Tap("convnext_tiny_stage_3_block_2_gelu", 3072)),
    )
