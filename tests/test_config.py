"""Every default survives the way through JSON; what is not known is refused by name."""

import json
from dataclasses import MISSING, fields, is_dataclass

import pytest

from humfind import config
from humfind.types import InputError

DATACLASSES = [value for value in vars(config).values() if isinstance(value, type) and is_dataclass(value)]
STAGES = [
    kind
    for kind in DATACLASSES
    if all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(kind))
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_round_trip_of_the_defaults(stage):
    assert config.from_dict(stage, json.loads(json.dumps(config.to_dict(stage())))) == stage()


@pytest.mark.parametrize("preset", config.PRESETS)
def test_round_trip_of_the_presets(preset):
    made = config.PRESETS[preset]
    assert config.from_dict(type(made), json.loads(json.dumps(config.to_dict(made)))) == made


def test_a_missing_name_is_its_default():
    assert config.from_dict(config.RankConfig, {"top": 5}) == config.RankConfig(top=5)


def test_an_unknown_name_is_told_with_its_place():
    with pytest.raises(InputError, match=r"config\.train\.augment: unknown tempoo; known are tempo"):
        config.from_dict(config.ModelConfig, {"train": {"augment": {"tempoo": 1}}})


def test_every_default_is_frozen():
    for stage in DATACLASSES:
        assert stage.__dataclass_params__.frozen, stage
        assert fields(stage)
