"""What to try of placements, and the moves of a rebalance."""

from __future__ import annotations

from rest_framework import serializers

from console.api.inputs import Input
from console.workloads.moves import LEAST_GAIN, MOST_MOVES, USUAL_GAIN, USUAL_MOVES
from console.workloads.services import MOST_REPLICAS


class WhatIfQuery(Input):
    event = serializers.ChoiceField(
        choices=("loss", "drain"), default="loss", help_text="The node is gone at once, or is emptied."
    )


class RoomQuery(Input):
    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_REPLICAS, default=100, help_text="How many more to try."
    )


class RebalanceQuery(Input):
    budget = serializers.IntegerField(min_value=1, max_value=MOST_MOVES, default=USUAL_MOVES)
    gain = serializers.FloatField(
        min_value=LEAST_GAIN,
        max_value=1000,
        default=USUAL_GAIN,
        help_text="A move must lower the measure by this.",
    )


class MoveInput(Input):
    container = serializers.CharField(max_length=16)
    node = serializers.CharField(max_length=16, help_text="Id of the node on which it was found.")
    target = serializers.CharField(max_length=16)


class MovesInput(Input):
    moves = serializers.ListField(
        child=MoveInput(), max_length=MOST_MOVES, help_text="As a dry run gave them."
    )
