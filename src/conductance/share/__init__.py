"""Trained networks in files: saved, loaded, published; and those that come with this package."""

from conductance.share.classifier import ImageClassifier
from conductance.share.description import Description
from conductance.share.loading import load
from conductance.share.places import about, names
from conductance.share.saving import save

__all__ = ["Description", "ImageClassifier", "about", "load", "names", "save"]
