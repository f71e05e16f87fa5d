"""From a folder of labelled radiographs to trained, fused members: the only home of Keras."""
