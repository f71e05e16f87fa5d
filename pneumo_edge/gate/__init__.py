"""Whether a picture is a frontal chest radiograph such as the ensemble was trained on; docs/gate.md."""
