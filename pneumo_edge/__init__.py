"""What runs on the device: decode, prepare, infer. Never imports TensorFlow, Keras or scikit-learn."""
