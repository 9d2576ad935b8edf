"""Floor 1: what is trained. Configs, blocks, networks, data, training and cost; knows no suite, store or tracker."""
