"""What a trained model is, in values and in words."""
