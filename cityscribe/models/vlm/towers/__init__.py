"""Vision towers: images to features on a grid."""
