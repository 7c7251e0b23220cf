"""emocap: what people will feel when they see a picture with its caption."""
