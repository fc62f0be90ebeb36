// Fragment of sample: the greedy token stays.
