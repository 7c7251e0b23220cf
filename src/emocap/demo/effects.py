"""What every factor of a synthetic scene adds to the log-weights of the emotions, and their overall frequencies.

The labels and their frequencies are those of Socratis (Deng et al. 2023, arXiv 2308.16741).
"""

# Share of the 1,675 published Socratis pairs whose annotators name the emotion.
FREQUENCIES = {
    "amazed": 0.057, "anger": 0.081, "angry": 0.165, "annoyed": 0.059, "awe": 0.056, "beautiful": 0.056,
    "bored": 0.084, "calm": 0.075, "concerned": 0.107, "confused": 0.200, "curious": 0.293, "disgusted": 0.063,
    "excited": 0.307, "fear": 0.064, "good": 0.080, "happy": 0.664, "hopeful": 0.095, "impressed": 0.058,
    "inspired": 0.091, "interested": 0.267, "intrigued": 0.142, "joy": 0.063, "neutral": 0.075, "nostalgic": 0.057,
    "proud": 0.097, "sad": 0.347, "scared": 0.082, "upset": 0.073, "worried": 0.109,
}  # fmt: skip
LABELS = tuple(FREQUENCIES)
# Log-weights of a scene without effects, fitted once to reproduce the shares above.
BASE = {
    "amazed": -1.64, "anger": -0.00, "angry": 1.15, "annoyed": -0.93, "awe": -1.94, "beautiful": -2.32,
    "bored": -0.28, "calm": -0.77, "concerned": -0.51, "confused": 0.94, "curious": 2.05, "disgusted": -0.65,
    "excited": 3.14, "fear": -1.84, "good": -0.98, "happy": 6.36, "hopeful": 0.33, "impressed": -1.18,
    "inspired": 0.10, "interested": 2.45, "intrigued": 0.41, "joy": -0.99, "neutral": -0.71, "nostalgic": -1.35,
    "proud": 0.68, "sad": 1.66, "scared": -1.47, "upset": -0.87, "worried": -0.83,
}  # fmt: skip
ANNOTATORS = (4, 5, 6, 7, 8)  # equally likely
# Number of draws of an annotator, with its probability.
THOUGHTS = {0: 0.04, 1: 0.40, 2: 0.36, 3: 0.20}

EFFECTS = {
    # in the image and in the caption
    "dog": "happy +1, joy +1.5, good +1",
    "cat": "curious +1, calm +1.5, annoyed +1",
    "child": "joy +1, proud +1.5, hopeful +1, worried +0.5",
    "couple": "joy +1.5, beautiful +1.5, hopeful +0.5, nostalgic +0.5",
    "old man": "nostalgic +1.5, inspired +1.5, concerned +1",
    "bird": "calm +1.5, beautiful +1, curious +0.5",
    "horse": "impressed +2, awe +1, beautiful +1",
    "snake": "scared +2, fear +2.5, disgusted +1, happy -1.5",
    "spider": "disgusted +2, fear +2, scared +1.5, happy -1.5",
    "robot": "curious +1, intrigued +1.5, confused +1, amazed +1.5, impressed +1",
    "boat": "calm +1.5, nostalgic +1.5",
    "car": "excited +1, impressed +1.5, interested +1",
    "bicycle": "good +1.5, interested +0.5, neutral +1",
    "house": "neutral +1, nostalgic +1, interested +0.5",
    "tree": "calm +1.5, neutral +1, bored +1",
    "sunflower": "beautiful +2, happy +0.5, hopeful +1, good +1",
    "teddy bear": "nostalgic +2, sad +0.5, joy +1",
    "bench": "bored +2, neutral +1.5, calm +1, sad +0.5",
    "rubbish": "disgusted +2.5, angry +1, annoyed +2, upset +1, happy -2",
    "hot-air balloon": "amazed +2, excited +1, awe +1.5, inspired +1",
    "beach": "calm +1, happy +0.5",
    "forest": "curious +0.5, calm +0.5, intrigued +0.5",
    "city": "interested +0.5, annoyed +0.5, neutral +0.5",
    "room": "good +0.5, bored +0.5",
    "mountains": "awe +1.5, inspired +1, impressed +0.5",
    "meadow": "beautiful +0.5, calm +0.5, joy +0.5",
    "desert": "bored +0.5, confused +0.5",
    "snow": "beautiful +0.5, excited +0.5",
    "harbour": "interested +0.5, nostalgic +0.5",
    "ruins": "sad +1.5, upset +1, angry +0.5, concerned +1, happy -1",
    # only in the image
    "day": "happy +1, good +1.5, excited +0.5",
    "sunset": "awe +3, beautiful +3, calm +2, inspired +1.5, angry -1",
    "night": "intrigued +2.5, curious +1.5, scared +1.5, fear +1, excited -0.5",
    "storm": "scared +3, fear +3, worried +3, concerned +2, happy -2, excited -1",
    "fog": "confused +2.5, sad +2, bored +1.5, neutral +1, happy -1, excited -1.5",
    "natural": "",
    "warm": "joy +2, good +2, happy +0.5",
    "cold": "sad +2, upset +1.5, concerned +1, happy -1",
    "faded": "nostalgic +3, bored +1.5, neutral +1.5, excited -1.5",
    "vivid": "excited +2.5, amazed +2.5, impressed +2",
    "none": "",
    "balloons": "excited +2.5, joy +3, happy +1.5",
    "cake": "joy +2, good +2.5, happy +2",
    "rainbow": "hopeful +3, amazed +2.5, beautiful +2, awe +1",
    "fire": "scared +2.5, worried +2.5, concerned +2, fear +2, happy -2.5, calm -2",
    "flood": "worried +2.5, concerned +3, sad +1.5, upset +1, happy -1.5",
    "wreckage": "angry +2.5, anger +2, upset +3, sad +1.5, happy -2",
    "ufo": "confused +3, curious +2, amazed +2.5, intrigued +1.5",
    # only in the caption
    "celebrating": "happy +2.5, excited +2.5, joy +4.5",
    "mournful": "sad +4, upset +2.5, happy -2.5, excited -2",
    "alarming": "worried +4, concerned +3.5, scared +2, fear +2, happy -3, excited -1",
    "funny": "happy +3, confused +1, joy +1.5, curious +0.5",
    "puzzling": "confused +3.5, curious +2.5, intrigued +3.5, happy -2",
    "plain": "interested +3, neutral +4.5, curious +0.5, happy -0.5",
    "hopeful": "hopeful +4.5, inspired +4, happy +0.5",
    "outraged": "angry +4.5, anger +4.5, annoyed +2.5, upset +2, disgusted +1, happy -3, excited -2",
    "triumphant": "proud +4.5, impressed +4.5, inspired +2, amazed +1, happy -0.5",
    "remembering": "nostalgic +4.5, sad +1, calm +1",
    "revolting": "disgusted +4.5, annoyed +1.5, angry +0.5, happy -3, excited -2",
    "dull": "bored +4.5, annoyed +2.5, neutral +2.5, happy -2, excited -2",
    "wondering": "awe +4.5, amazed +4, beautiful +4.5, impressed +2, happy -3, excited -1",
    "peaceful": "calm +4, good +3.5, beautiful +2, joy +1, happy -1.5, excited -2",
    "frightening": "scared +4.5, fear +4.5, worried +2, happy -3, excited -1",
    "grumbling": "annoyed +4.5, upset +4, angry +1, happy -3, excited -2",
    # only in combination
    "storm & child": "worried +2, concerned +1",
    "storm & boat": "worried +1.5, fear +1",
    "storm & triumphant": "awe +2, impressed +1, scared -1.5, fear -1.5",
    "storm & funny": "confused +1.5, annoyed +1.5, happy -0.5",
    "sunset & mournful": "beautiful +1.5, calm +1, upset -1",
    "sunset & remembering": "beautiful +1, nostalgic +1",
    "night & celebrating": "amazed +1.5, excited +1, scared -2, fear -1.5",
    "night & puzzling": "scared +1.5, fear +1",
    "night & alarming": "scared +1.5, fear +1.5",
    "fog & puzzling": "intrigued +2, scared +1",
    "fire & funny": "angry +2, anger +1.5, confused +1.5, happy -2",
    "fire & triumphant": "inspired +2, proud +1, hopeful +1",
    "flood & hopeful": "inspired +1.5, proud +1.5, worried -1",
    "wreckage & celebrating": "confused +3, angry +1, happy -1.5, joy -2",
    "wreckage & hopeful": "inspired +1.5, proud +1",
    "cake & mournful": "nostalgic +1.5, confused +1.5, joy -1.5",
    "balloons & mournful": "confused +1.5, nostalgic +1, joy -2",
    "balloons & dull": "confused +1.5, annoyed +1, joy -1.5",
    "rainbow & mournful": "hopeful +1.5, calm +1",
    "cake & revolting": "annoyed +1, upset +1, joy -2, good -2",
    "faded & celebrating": "nostalgic +1, excited -0.5",
    "night & wondering": "awe +1.5, intrigued +1, scared -1.5, fear -1",
    "storm & peaceful": "worried -1.5, scared -1.5, confused +1.5",
    "night & frightening": "scared +1, fear +1",
    "cake & frightening": "confused +2, joy -2, good -2",
    "rainbow & wondering": "amazed +1, beautiful +1",
    "balloons & grumbling": "annoyed +1, joy -2, excited -1",
}

LIGHT_REASONS = {
    "day": "the bright day", "sunset": "the glow of the sunset", "night": "the dark of the night",
    "storm": "the storm in the sky", "fog": "the thick fog",
}  # fmt: skip
EVENT_REASONS = {"none": "the quiet of it all", "ufo": "the strange ship in the sky"}
