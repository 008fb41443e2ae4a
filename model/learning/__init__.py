"""How networks learn, as far as engines must know: recipes, learners, losses of masks."""
