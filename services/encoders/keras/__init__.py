"""Networks on Keras. Only this package imports TensorFlow and Keras."""
