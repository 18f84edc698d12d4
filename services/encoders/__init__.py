"""Encoders: pictures to feature vectors. The only home of TensorFlow and Keras."""
