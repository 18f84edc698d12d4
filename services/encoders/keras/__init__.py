"""Networks on Keras. The home of TensorFlow and Keras."""
