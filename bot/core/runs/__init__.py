"""One sync run, from the click to its outcome: how it moves, when it is checked next, how long it usually takes."""
