"""What runs on the device: decode, prepare, infer. Never TensorFlow, Keras or scikit-learn."""
