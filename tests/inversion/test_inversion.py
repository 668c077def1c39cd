"""The optimisation: frozen is frozen, seeds decide, company does not matter, Adam is Adam."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.freezing import trainable_parameters
from lead.inversion import InversionOptions
from lead.inversion.word import state_hash
from lead.training.inversion_stage import InversionStage, encode_windows, invert

FEW = InversionOptions(steps=5)


def hashes(model) -> list[str]:
    table = model.text_encoder.table.clone()
    parts = (model.vae, model.denoiser, model.projector, model.text_encoder, model.normalizer)
    return [state_hash(part) for part in parts] + [str(table.double().sum().item())]


def stage(model, concepts, options=FEW, seed=0) -> InversionStage:
    exemplars = [encode_windows(concept, model, options, seed) for concept in concepts]
    return InversionStage(model, exemplars, options, seed)


@pytest.mark.parametrize("objective", ["lead", "mld", "feat"])
def test_everything_but_the_vector_stays_as_it_was(model, make_concept, objective):
    before = hashes(model)
    options = InversionOptions(objective=objective, steps=3)
    (word,) = invert([make_concept()], model, options)
    assert hashes(model) == before
    assert (word.vector - model.text_encoder.word_vector("walk")).norm() > 1e-3
    assert word.encoder == model.text_encoder.fingerprint
    assert word.about["run"] == state_hash(model.vae, model.denoiser, model.projector)
    assert word.about["objective"] == objective and word.about["init"] == "walk"


def test_the_vectors_are_all_that_is_trained(model, make_concept):
    learner = stage(model, [make_concept("<a>"), make_concept("<b>")])
    assert list(trainable_parameters(learner)) == ["vectors"]
    assert learner.vectors.shape == (2, 12)
    (group,) = learner.configure_optimizers().param_groups
    assert [id(p) for p in group["params"]] == [id(learner.vectors)]
    learner.training_step(0, 0).backward()
    for part in (model.vae, model.denoiser, model.projector, model.text_encoder):
        assert not part.training and all(p.grad is None for p in part.parameters())


def test_the_same_seed_gives_the_same_word(model, make_concept):
    first, again = (invert([make_concept()], model, FEW, seed=4)[0] for _ in range(2))
    other = invert([make_concept()], model, FEW, seed=5)[0]
    assert torch.equal(first.vector, again.vector) and first.about == again.about
    assert (first.vector - other.vector).abs().max() > 1e-3


@pytest.mark.parametrize(("objective", "steps"), [("lead", 5), ("mld", 20), ("feat", 3)])
def test_many_at_once_are_the_words_of_one_by_one(model, make_concept, objective, steps):
    starts = {"<a>": "walk", "<bb>": "run", "<ccc>": "bow"}
    concepts = [make_concept(word, init, motions=len(word) - 2) for word, init in starts.items()]
    options = {"objective": objective, "steps": steps}
    together = invert(concepts, model, InversionOptions(**options), seed=2)
    chunks = invert(concepts, model, InversionOptions(**options, at_once=2), seed=2)
    for concept, one, part in zip(concepts, together, chunks, strict=True):
        (alone,) = invert([concept], model, InversionOptions(**options), seed=2)
        assert one.word == part.word == alone.word == concept.word
        torch.testing.assert_close(one.vector, alone.vector, atol=1e-4, rtol=0)
        torch.testing.assert_close(part.vector, alone.vector, atol=1e-4, rtol=0)


def test_the_first_adam_step_moves_each_entry_by_lr_of_the_starting_size(model, make_concept):
    start = model.text_encoder.word_vector("walk")
    options = InversionOptions(steps=1, lr=0.01)
    (word,) = invert([make_concept()], model, options)
    size = start.square().mean().sqrt()
    torch.testing.assert_close(
        (word.vector - start).abs(), torch.full_like(start, 0.01 * float(size)), rtol=1e-3, atol=0
    )


@pytest.mark.parametrize(("averaged", "kept"), [(0.0, 1), (0.1, 1), (0.5, 3), (1.0, 6)])
def test_a_word_is_the_mean_of_the_last_steps(model, make_concept, averaged, kept):
    """Runs of 1 to 6 steps, which draw alike, end where one of six steps comes by."""
    options = {"objective": "mld", "lr": 0.1}
    path = [
        invert([make_concept()], model, InversionOptions(**options, steps=steps, averaged=0.0))[0]
        for steps in range(1, 7)
    ]
    asked = InversionOptions(**options, steps=6, averaged=averaged)
    (word,) = invert([make_concept()], model, asked)
    wanted = torch.stack([of.vector for of in path[-kept:]]).mean(dim=0)
    torch.testing.assert_close(word.vector, wanted, rtol=1e-5, atol=1e-5)
    assert word.about["averaged"] == averaged


def test_the_step_goes_down_the_slope(model, make_concept):
    """The sign of each entry's step against finite differences of the loss."""
    learner = stage(model, [make_concept()])
    loss = learner.training_step(0, 0)
    (gradient,) = torch.autograd.grad(loss, learner.vectors)
    for place in range(12):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                learner.vectors[0, place] += sign * 0.05
                ends.append(float(learner.training_step(0, 0)))
                learner.vectors[0, place] -= sign * 0.05
        slope = (ends[0] - ends[1]) / 0.1
        assert slope == pytest.approx(float(gradient[0, place]), rel=0.05, abs=2e-5)


def test_the_loss_falls_and_is_measured_alike(model, make_concept):
    options = InversionOptions(objective="mld", steps=60, lr=0.5, timestep_max=300)
    (word,) = invert([make_concept()], model, options)
    assert word.about["loss_after"] < word.about["loss_before"]
    learner = stage(model, [make_concept()], options)
    assert torch.equal(learner.measure(), learner.measure())
    assert float(learner.measure()[0]) == pytest.approx(word.about["loss_before"], rel=1e-5)


def test_a_learned_word_changes_what_is_generated(model, make_concept):
    from lead.generation import Sampling

    (word,) = invert([make_concept()], model, FEW)
    speaking = model.with_words({word.word: word.vector})
    same = model.with_words({"<plain>": model.text_encoder.word_vector("walk")})
    few = Sampling(steps=3)

    def latents(pipeline, text):
        return pipeline.sample(
            [text], [20], [1], few, project=False, condition=pipeline.embed([text, ""])
        )

    learned, plain = latents(speaking, "a <zombie> waves"), latents(same, "a <plain> waves")
    assert speaking.embed(["a <zombie> waves"]).shape == (1, 1, 12)
    torch.testing.assert_close(same.embed(["a <plain> waves"]), model.embed(["a walk waves"]))
    assert torch.isfinite(learned).all() and torch.isfinite(plain).all()
    assert (speaking.embed(["a <zombie> waves"]) - model.embed(["a walk waves"])).norm() > 1e-3
    with pytest.raises(RequestError, match="no word file teaches <zombie>"):
        model.generate(["a <zombie> waves"], [20], [1], few)


def test_what_cannot_be_inverted_is_one_line(model, make_concept, concept_of):
    from dataclasses import replace

    import numpy as np

    narrow = concept_of([np.zeros((30, 251), dtype=np.float32)])
    for concepts, options, parts, message in [
        ([make_concept(init="walk slowly")], FEW, model, "'walk slowly' is 2 pieces"),
        ([narrow], FEW, model, "clip 0 has 251 features a frame"),
        ([], FEW, model, "no words to learn"),
        ([make_concept()], FEW, replace(model, projector=None), "objective 'lead' needs a"),
        (
            [make_concept()],
            InversionOptions(timestep_max=1000),
            model,
            "the last timestep of the run is 999",
        ),
    ]:
        with pytest.raises(RequestError, match=message) as error:
            invert(concepts, parts, options)
        assert "\n" not in str(error.value)


def test_a_word_of_the_vocabulary_is_refused(model, make_concept, monkeypatch):
    monkeypatch.setattr(type(model.text_encoder), "knows", lambda self, word: word == "<zombie>")
    with pytest.raises(RequestError, match="<zombie> is in the vocabulary"):
        invert([make_concept()], model, FEW)


def test_ctrl_c_is_left_to_the_command(model, make_concept, monkeypatch):
    def interrupted(self, step, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(InversionStage, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        invert([make_concept()], model, FEW)


def test_progress_shows_loss_and_remaining_time(model, make_concept, capfd):
    invert([make_concept()], model, InversionOptions(steps=3), progress=True)
    shown = "".join(capfd.readouterr())
    assert "loss=" in shown and "3/3" in shown and "<00:00" in shown


def test_each_window_is_learned_with_the_action_of_its_motion(model, make_concept, monkeypatch):
    seen: set[str] = set()
    encode = model.text_encoder.encode_with_words

    def listening(texts, words):
        seen.update(texts)
        return encode(texts, words)

    monkeypatch.setattr(model.text_encoder, "encode_with_words", listening)
    templates = ("a <*> person {action}",)
    concept = make_concept(motions=2, templates=templates, actions=("walks", "bows"))
    options = InversionOptions(steps=2, windows=2)
    learner = stage(model, [concept], options)
    assert learner.exemplars[0].motions == (0, 0, 1, 1)
    learner.training_step(0, 0)
    assert seen == {"a <zombie> person walks", "a <zombie> person bows"}
    (drawn,) = learner._draws("step", 0)
    done = ["walks" if window < 2 else "bows" for window in drawn.windows.tolist()]
    assert len(done) == 4 and set(done) == {"walks", "bows"}
