"""From stages to calls: gives every value its place in memory, and lets every stage write its calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..base import Shape
from .calls import CallList
from .conv_columns import ColumnsStage
from .memory import NO_BORDER, Buffer, Memory, widest
from .simple import FlattenStage
from .stage import Stage, Writer


def build(stages: Sequence[Stage], n: int, input_shape: Shape, output: int, dtype: np.dtype[Any]) -> CallList:
    """The calls for `n` examples at a time. Written twice: the first time only to see how much scratch is wanted."""
    measured = _Builder(stages, Memory(n, dtype), input_shape, output)
    measured.write()
    return _Builder(stages, Memory(n, dtype, measured.memory.scratch_sizes), input_shape, output).write()


class _Builder:
    def __init__(self, stages: Sequence[Stage], memory: Memory, input_shape: Shape, output: int) -> None:
        self.stages, self.memory, self.output = stages, memory, output
        self.readers: dict[int, list[Stage]] = {0: [], **{stage.output: [] for stage in stages}}
        for stage in stages:
            for value in stage.inputs:
                self.readers[value].append(stage)
        self.buffers = {0: self._input(input_shape)}

    def write(self) -> CallList:
        """Every stage in turn. A value whose readers have all run gives its memory back."""
        program = Writer(self.memory)
        for at, stage in enumerate(self.stages):
            if stage.output not in self.buffers:  # a flatten's place is made with the value before it
                self.buffers[stage.output] = self._place_for(stage)
            if not self._is_in_place(stage):
                program.label = stage.label
                stage.write(program, [self.buffers[value] for value in stage.inputs], self.buffers[stage.output])
            for value in set(stage.inputs):
                if value not in (0, self.output) and not any(value in later.inputs for later in self.stages[at + 1 :]):
                    self.memory.release(self.buffers[value])
        return CallList(program.calls, self.buffers[0].logical, self.buffers[self.output].logical)

    def _place_for(self, stage: Stage) -> Buffer:
        """Memory for what a stage makes: of its own, or the rows that a flatten will give on."""
        readers = self.readers[stage.output]
        if len(readers) == 1 and isinstance(readers[0], FlattenStage) and stage.output != self.output:
            flatten = readers[0]
            rows = self.memory.activation(flatten.shape)
            self.buffers[flatten.output] = rows
            return Buffer(flatten.row_view(rows.full))
        return self.memory.activation(stage.shape, self._border(stage.output))

    def _is_in_place(self, stage: Stage) -> bool:
        """Whether the stage before a flatten has written its rows already."""
        return isinstance(stage, FlattenStage) and np.shares_memory(
            self.buffers[stage.inputs[0]].full, self.buffers[stage.output].full
        )

    def _border(self, value: int) -> tuple[tuple[int, int], tuple[int, int]]:
        return widest([NO_BORDER, *(reader.border() for reader in self.readers[value])])

    def _input(self, shape: Shape) -> Buffer:
        """The input; as (C, H, W, n) if only convolutions of few channels read it, which want it so."""
        border = self._border(0)
        readers = self.readers[0]
        if readers and all(isinstance(reader, ColumnsStage) for reader in readers):
            (top, bottom), (left, right), (C, H, W) = *border, shape
            full = np.zeros((C, top + H + bottom, left + W + right, self.memory.n), self.memory.dtype)
            return Buffer(full.transpose(1, 2, 3, 0), border)
        return self.memory.activation(shape, border)
