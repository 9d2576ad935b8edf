"""CIFAR-100 (the 100 fine labels) in its original Python format; see ``cifar10``."""

from __future__ import annotations

from senet_core.data.cifar10 import Cifar
from senet_core.registry import DATASETS

_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar
    cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster
    house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
    orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose
    sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@DATASETS.add("cifar100")
class Cifar100(Cifar):
    """A hundred classes, 600 images each."""

    label = "CIFAR-100"
    classes = tuple(_FINE.split())
    reader, folder, archive = "CIFAR100", "cifar-100-python", "cifar-100-python.tar.gz"
