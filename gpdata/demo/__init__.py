"""The demo: real genetic programming with DEAP, recorded live, to see how all of gpdata works together."""
