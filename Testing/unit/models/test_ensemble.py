"""Ensembles as installed models: made, read, listed, verified, missed, removed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from petctfusion.errors import BadInputError, ModelError, OutputError
from petctfusion.models import (
    EnsembleCard,
    LabelSpec,
    Member,
    ModelCard,
    ModelStore,
    Training,
    read_card,
    verify,
    write_card,
)
from petctfusion.models import ensemble as making
from petctfusion.models.card import card_from_json
from petctfusion.models.ensemble import EnsembleChoices, ensemble_card, make_ensemble


@pytest.fixture
def store(tmp_path, model_folder, monkeypatch) -> ModelStore:
    """A store that ships a@1 and holds the user's b@1; it is the default one."""
    monkeypatch.setenv("PETCTFUSION_MODELS", str(tmp_path / "own"))
    store = ModelStore(tmp_path / "shipped", tmp_path / "own")
    monkeypatch.setattr(ModelStore, "default", classmethod(lambda cls: store))
    model_folder(store.shipped / "a" / "1", name="a", version="1", threshold=0.4)
    model_folder(store.own / "b" / "1", name="b", version="1", threshold=0.7, smallest_component_ml=2.0)
    return store


def _both(**changes) -> EnsembleChoices:
    return EnsembleChoices(**{"name": "both", **changes})


def test_an_ensemble_is_a_model_without_weights(store):
    model = make_ensemble(["a", "b@1"], _both())
    assert [path.name for path in model.folder.iterdir()] == ["model.json"]
    assert model.folder == store.own / "both" / "1.0.0"
    assert [m.reference for m in store.scan()[0]] == ["a@1", "b@1", "both@1.0.0"]
    found = store.find("both")
    assert [member.folder for member in found.members] == [store.find("a").folder, store.find("b").folder]
    assert found.card == read_card(model.folder)
    assert verify(model.folder) == found.card
    assert [file.name for file in found.files] == ["model.json"] + ["model.json", "weights.safetensors"] * 2


def test_its_card_carries_every_limit_and_credit_of_its_members(store, model_folder):
    training = Training("other data", "CC BY 4.0", "somebody", ("P2", "P9"), "x", "y", 3)
    model_folder(store.own / "c" / "1", name="c", version="1", not_for=("Not for cats.",), training=training)
    card = make_ensemble(["a", "c"], _both(weights=(1.0, 3.0))).card
    assert card.not_for == ("Not for patients.", "Not for cats.")
    assert card.training.patients == ("P1", "P2", "P9")
    assert card.training.attribution == "nobody; somebody"
    assert card.training.command == "petctfusion models ensemble both a@1 c@1 --weights 1 3"
    assert card.threshold == pytest.approx((0.4 + 3 * 0.5) / 4)
    assert card.network == "ensemble of 2"


def test_the_checksum_stands_for_the_members_weights_and_how_they_count(store):
    cards = [
        ensemble_card([store.find("a"), store.find("b")], _both(weights=w)) for w in (None, (1.0, 1.0), (1.0, 2.0))
    ]
    assert cards[0].sha256 == cards[1].sha256 != cards[2].sha256
    other = replace(cards[0], members=(replace(cards[0].members[0], sha256="1" * 64), cards[0].members[1]))
    assert other.sha256 != cards[0].sha256


def test_the_threshold_of_the_user_counts_and_small_parts_are_dropped_with_caution(store):
    card = make_ensemble(["a", "b"], _both(threshold=0.25)).card
    assert (card.threshold, card.smallest_component_ml) == (0.25, 0.0)


@pytest.mark.parametrize(
    ("members", "changes", "sentence"),
    [
        (["a"], {}, "two models or more"),
        (["a", "a"], {}, "named twice"),
        (["a", "a@1"], {}, "named twice"),
        (["a", "z"], {}, "no model 'z'"),
        (["a", "b"], {"weights": (1.0,)}, "1 weights for 2 models"),
        (["a", "b"], {"weights": (1.0, 0.0)}, "not above 0"),
        (["a", "b"], {"weights": (1.0, float("nan"))}, "not above 0"),
        (["a", "b"], {"threshold": 1.5}, "threshold is 1.5"),
        (["a", "b"], {"name": "../up"}, "'name'"),
        (["a", "b"], {"name": "b", "version": "1"}, "already installed"),
    ],
)
def test_what_is_no_ensemble_is_refused_and_nothing_is_written(store, members, changes, sentence):
    before = sorted(store.own.rglob("*"))
    with pytest.raises((BadInputError, ModelError), match=sentence) as caught:
        make_ensemble(members, _both(**changes))
    assert caught.value.hint
    assert sorted(store.own.rglob("*")) == before


def test_members_that_mark_different_things_are_refused(store, model_folder, card):
    node = LabelSpec(2, "Node", card().labels[0].terminology, (1, 2, 3))
    model_folder(store.own / "c" / "1", name="c", version="1", labels=(*card().labels, node))
    with pytest.raises(ModelError, match=r"a@1 marks Tumour \(1\), c@1 marks Tumour \(1\), Node \(2\)"):
        make_ensemble(["a", "c"], _both())


def test_modalities_are_joined_and_units_that_differ_refused(store, model_folder):
    mr = {"modalities": ("PET", "MR"), "units": {"PET": "SUVbw", "MR": "arbitrary"}}
    mr["clip"] = {"PET": (0.0, 25.0), "MR": (0.0, 900.0)}
    model_folder(store.own / "c" / "1", name="c", version="1", **mr)
    assert make_ensemble(["a", "c"], _both()).card.modalities == ("CT", "PET", "MR")
    mr["units"] = {"PET": "arbitrary", "MR": "arbitrary"}
    model_folder(store.own / "d" / "1", name="d", version="1", **mr)
    with pytest.raises(ModelError, match="d@1 wants PET in arbitrary"):
        make_ensemble(["a", "d"], _both(name="third"))


def test_an_ensemble_is_no_member(store):
    make_ensemble(["a", "b"], _both())
    with pytest.raises(ModelError, match="an ensemble itself"):
        make_ensemble(["a", "both"], _both(name="more"))


def test_a_model_that_is_not_installed_is_no_member(store, tmp_path, model_folder):
    folder = model_folder(tmp_path / "anywhere", name="loose", version="1")
    with pytest.raises(ModelError, match="loose@1, which is not installed") as caught:
        make_ensemble(["a", str(folder)], _both())
    assert "models add" in caught.value.hint


def test_it_can_be_written_elsewhere_and_installed_later(store, tmp_path):
    folder = tmp_path / "new" / "folder"
    model = make_ensemble(["a", "b"], _both(), folder)
    assert (model.folder, [p.name for p in folder.parent.iterdir()]) == (folder, ["folder"])
    assert [m.name for m in store.scan()[0]] == ["a", "b"]
    assert store.find(folder).reference == "both@1.0.0"
    assert [m.name for m in store.add(folder).members] == ["a", "b"]
    with pytest.raises(OutputError, match="already there"):
        make_ensemble(["a", "b"], _both(), folder)


def test_what_fails_on_the_way_leaves_nothing_behind(store, tmp_path):
    def fail(folder):
        assert read_card(folder).name == "both"
        raise BadInputError("No.", "Stop.")

    for output in (None, tmp_path / "new" / "folder"):
        with pytest.raises(BadInputError):
            make_ensemble(["a", "b"], _both(), output, fail)
    assert [p.name for p in store.own.iterdir()] == ["b"]
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_one_sentence(store, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(making.tempfile, "mkdtemp", full)
    with pytest.raises(OutputError, match="No space left"):
        make_ensemble(["a", "b"], _both())


def test_a_missing_member_is_named_with_the_way_to_get_it(store):
    folder = make_ensemble(["a", "b"], _both()).folder
    wanted = store.find("b").card.sha256
    shutil.rmtree(store.own / "b")
    listed, damaged = store.scan()
    assert [m.name for m in listed] == ["a"]
    assert [d.folder for d in damaged] == [folder]
    for look in (lambda: store.find("both"), lambda: verify(folder), lambda: store.find(folder)):
        with pytest.raises(ModelError, match="both needs the model b@1, which is not installed") as caught:
            look()
        assert "models add" in caught.value.hint
        assert wanted in caught.value.hint
    assert store.remove("both") == folder


def test_other_weights_of_a_member_are_not_taken(store):
    folder = make_ensemble(["a", "b"], _both()).folder
    content = bytearray((store.own / "b" / "1" / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (store.own / "b" / "1" / "weights.safetensors").write_bytes(content)
    # The member's card still names the old weights: only reading the file tells.
    assert store.find("both").folder == folder
    with pytest.raises(ModelError, match="checksum"):
        verify(folder)
    member = store.find("b").card
    write_card(replace(member, weights=replace(member.weights, sha256="1" * 64)), store.own / "b" / "1")
    with pytest.raises(ModelError, match="other weights of b@1"):
        store.find("both")


@pytest.mark.parametrize(
    ("changes", "sentence"), [({"modalities": ("CT",)}, "modalities"), ({"labels": "renamed"}, "labels")]
)
def test_a_card_that_does_not_fit_its_members_is_damaged(store, changes, sentence):
    model = make_ensemble(["a", "b"], _both())
    if "labels" in changes:
        changes = {"labels": (replace(model.card.labels[0], name="Node"),)}
    write_card(replace(model.card, **changes), model.folder)
    with pytest.raises(ModelError, match=f"disagree on the {sentence}"):
        store.find("both")


def test_a_member_cannot_be_removed_before_its_ensemble(store):
    make_ensemble(["a", "b"], _both())
    with pytest.raises(ModelError, match=r"b@1 is a member of the ensemble both@1\.0\.0") as caught:
        store.remove("b")
    assert "models remove both@1.0.0" in caught.value.hint
    store.remove("both")
    store.remove("b")
    assert [m.name for m in store.scan()[0]] == ["a"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("members", [], "fewer than two"),
        ("members", 3, "'members'"),
        ("weights", {}, "'weights'"),
        ("network", "anatomy_guided", "'network'"),
        ("modalities", ["US"], "'US'"),
    ],
)
def test_a_wrong_field_of_an_ensemble_is_named(card, field, value, named):
    with pytest.raises(ModelError) as caught:
        card_from_json({**_values(card), field: value})
    assert named in caught.value.message


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": -1}, "weight"),
        ({"sha256": "0"}, "sha256"),
        ({"name": "b"}, "twice"),
        ({"name": "../a"}, "name"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_member_is_named(card, change, named):
    values = _values(card)
    values["members"][0] |= change
    with pytest.raises(ModelError, match=named):
        card_from_json(values)


def _values(card) -> dict:
    single: ModelCard = card()
    shared = {
        name: getattr(single, name) for name in ("title", "modalities", "labels", "training", "licence", "not_for")
    }
    members = tuple(Member(name, "1", "0" * 64, 1.0) for name in ("a", "b"))
    return json.loads(json.dumps(EnsembleCard(name="both", version="1", members=members, **shared).to_json()))
