"""Floor 2: how trials come to be trained. The run loop, its rounds and engines, one trial, what it will take, why it stops."""
