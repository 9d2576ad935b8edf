"""Fair tuning: the same candidates of learning rate and weight decay for every variant, judged on held-out images."""
