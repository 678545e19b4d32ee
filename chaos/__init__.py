"""Random faults on real engines under continuous deploys, and a checker that asks the engines alone."""
