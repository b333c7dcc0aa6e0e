"""Does a measure of similarity behave? Tests that every measure faces on runs of an experiment.

``trials`` declares each test with the bar that decides it; bars were fixed before any result was
seen and are not tuned. The tests need several seeds of several systems that share a task.

References: Kornblith et al. 2019 (arXiv:1905.00414), section 6.1: the same layer is found again in
a network from other initial weights. Ding, Denain and Steinhardt 2021 (arXiv:2108.01661): a measure
must respond to changes that cost accuracy, and not to the seed. Klabunde et al. 2025 (ACM Computing
Surveys 57(9)): agreement with the answers of networks.
"""
