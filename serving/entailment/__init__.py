"""The role ``entailment``: does a passage entail a claim, contradict it, or not mention it?"""
