"""Real tokenizers of each kind, trained in well under a second on a few sentences in four languages and emoji."""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Sequence
from itertools import groupby
from typing import Any

TEXTS = (
    "My parcel has not arrived yet, where is it?",
    "Please cancel the order that I placed this morning.",
    "The blue lamp is broken; I want my money back.",
    "How do I change the address of an order?",
    "Can I pay by card, or only by bank transfer?",
    "The delivery man left the parcel with a neighbour.",
    "I was charged twice for one subscription.",
    "It works well, and it was cheaper than I thought!",
    "Nobody answers the telephone, and nobody writes back.",
    "What is the difference between the small and the large one?",
    "The refund was paid on Monday, three days late.",
    "Our meeting in Berlin begins at half past nine.",
    "She lived in London before she moved to Cairo.",
    "The river is longer than any other river of the country.",
    "Is there a warranty, and how long does it last?",
    "I do not know whether the price includes tax.",
    "Mein Paket ist noch nicht angekommen, wo ist es?",
    "Bitte stornieren Sie die Bestellung von heute Morgen.",
    "Die blaue Lampe ist kaputt, ich möchte mein Geld zurück.",
    "Wie ändere ich die Adresse einer Bestellung?",
    "Kann ich mit Karte zahlen oder nur per Überweisung?",
    "Der Bote hat das Paket beim Nachbarn abgegeben.",
    "Mir wurde das Abonnement zweimal berechnet.",
    "Es funktioniert gut und war günstiger als gedacht!",
    "Niemand geht ans Telefon, und niemand schreibt zurück.",
    "Worin unterscheiden sich das kleine und das große Gerät?",
    "Die Rückerstattung kam am Montag, drei Tage zu spät.",
    "Unsere Besprechung in München beginnt um halb zehn.",
    "Sie wohnte in Köln, bevor sie nach Zürich zog.",
    "Der Fluss ist länger als jeder andere Fluss des Landes.",
    "Gibt es eine Garantie, und wie lange gilt sie?",
    "Ich weiß nicht, ob der Preis die Steuer enthält.",
    "我的包裹还没有到，它在哪里？",
    "请取消我今天早上下的订单。",
    "蓝色的灯坏了，我要退款。",
    "怎么修改订单的地址？",
    "我可以用卡支付吗，还是只能银行转账？",
    "快递员把包裹交给了邻居。",
    "同一个订阅我被扣了两次钱。",
    "它很好用，比我想的便宜！",
    "没有人接电话，也没有人回信。",
    "小的和大的有什么区别？",
    "退款在星期一到账，晚了三天。",
    "我们在北京的会议九点半开始。",
    "她搬到开罗以前住在上海。",
    "有没有保修，保修期多长？",
    "طردي لم يصل بعد، أين هو؟",
    "من فضلك ألغ الطلب الذي قدمته هذا الصباح.",
    "المصباح الأزرق مكسور، أريد استرداد أموالي.",
    "كيف أغير عنوان الطلب؟",
    "هل يمكنني الدفع بالبطاقة أم بالتحويل فقط؟",
    "ترك الساعي الطرد عند الجار.",
    "تم خصم ثمن الاشتراك مرتين.",
    "يعمل جيدا وكان أرخص مما توقعت!",
    "لا أحد يرد على الهاتف.",
    "انتقلت من القاهرة إلى بيروت.",
    "هل يوجد ضمان وكم مدته؟",
    "👍 Great, thank you! 🎉🎉",
    "😡 Three weeks, and still nothing 📦❓",
    "Danke schön 🙂 谢谢 🙏 شكرا 🌹",
    "1,234.50 € · 12 % · 2026-11-23 · order no. 17",
)
"""What every tokenizer here is trained on; a model may be trained and asked in the same words."""

VOCABULARY = 700
"""The most pieces that byte-pair merging may end with."""

# Some of the rules of SentencePiece's nmt_nfkc, under which XLM-R and ALBERT were trained.
_NMT_NFKC = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u200b": "", "\u00ad": "", "\ufeff": ""}
_NMT_NFKC |= {"ﬁ": "fi", "½": "1⁄2", "…": "...", "，": ",", "？": "?", "！": "!", "e\u0301": "é"}
_NMT_NFKC |= {chr(code + 0xFEE0): chr(code) for code in (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))}


def bert(cls: str = "BertTokenizer", lowercase: bool = True) -> Any:
    """WordPiece with [CLS] and [SEP]; ``cls`` is transformers' name of the class the family's checkpoints name."""
    import transformers

    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    return getattr(transformers, cls)(vocab=_word_pieces(specials, lowercase), do_lower_case=lowercase)


def mpnet() -> Any:
    """BERT's WordPiece under RoBERTa's special tokens and template; the pad token must be number 1."""
    from transformers import MPNetTokenizer

    return MPNetTokenizer(vocab=_word_pieces(("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"), True))


def roberta() -> Any:
    """Byte-level BPE; a word at the start of a text and the same word after a space are different tokens."""
    from transformers import RobertaTokenizer

    vocab, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    return RobertaTokenizer(vocab=vocab, merges=merges)


def bart() -> Any:
    """RoBERTa's, under the name that BART's checkpoints give."""
    from transformers import BartTokenizer

    vocab, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    return BartTokenizer(vocab=vocab, merges=merges)


def gpt2() -> Any:
    """Byte-level BPE; nothing is added to a text, and there is no padding token."""
    from transformers import GPT2Tokenizer

    vocab, merges = _byte_pairs(("<|endoftext|>",))
    return GPT2Tokenizer(vocab=vocab, merges=merges)


def gpt_neox() -> Any:
    """Byte-level BPE over NFC; nothing is added to a text."""
    from transformers import GPTNeoXTokenizer

    vocab, merges = _byte_pairs(("<|endoftext|>", "<|padding|>"))
    return GPTNeoXTokenizer(vocab=vocab, merges=merges)


def qwen() -> Any:
    """Byte-level BPE over NFC, digits one by one; nothing is added to a text. Qwen2's and Qwen3's."""
    from transformers import Qwen2Tokenizer

    vocab, merges = _byte_pairs(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    return Qwen2Tokenizer(vocab=vocab, merges=merges, eos_token="<|im_end|>")


def opt() -> Any:
    """GPT-2's with ``</s>`` in front, and a padding token."""
    from tokenizers.processors import TemplateProcessing
    from transformers import GPT2Tokenizer

    vocab, merges = _byte_pairs(("<s>", "<pad>", "</s>", "<unk>"))
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "</s>")
    tokenizer = GPT2Tokenizer(vocab=vocab, merges=merges, pad_token="<pad>", **special)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="</s> $A", pair="</s> $A </s> $B", special_tokens=[("</s>", vocab["</s>"])]
    )
    return tokenizer


def llama() -> Any:
    """BPE over ▁ with byte fallback, ``<s>`` in front, no padding token."""
    from tests.tiny_generators import _byte_fallback_tokenizer

    return _byte_fallback_tokenizer()


def eurobert() -> Any:
    """Byte-level BPE in the manner of Llama 3, a token at each end of a text."""
    from tokenizers import decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocab, merges = _byte_pairs(())
    trained = _tokenizer(BPE(vocab, merges), pre_tokenizers.ByteLevel(add_prefix_space=False), None)
    trained.decoder = decoders.ByteLevel()
    names = {
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "pad_token": "<|pad|>",
        "mask_token": "<|mask|>",
    }
    trained.add_special_tokens([*names.values()])
    trained.post_processor = _template(trained, "<|begin_of_text|>", "<|end_of_text|>")
    return PreTrainedTokenizerFast(tokenizer_object=trained, **names)


def xlnet() -> Any:
    """SentencePiece Unigram without accents, ``<sep>`` and ``<cls>`` behind, padded on the left."""
    from tokenizers.normalizers import NFKD, StripAccents
    from transformers import XLNetTokenizer

    specials = ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>")
    return XLNetTokenizer(vocab=_pieces(specials, NFKD(), StripAccents()))


def mbart() -> Any:
    """XLM-R's kind of pieces, with ``</s>`` and a language behind a text."""
    from tokenizers.normalizers import NFKC
    from transformers import MBartTokenizer
    from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES

    pieces = _pieces(("<s>", "<pad>", "</s>", "<unk>"), NFKC())
    languages = [(code, 0.0) for code in FAIRSEQ_LANGUAGE_CODES]
    return MBartTokenizer(vocab=[*pieces, *languages, ("<mask>", 0.0)], src_lang="en_XX", tgt_lang="de_DE")


def t5() -> Any:
    """SentencePiece Unigram, ``</s>`` behind a text."""
    from tests.tiny_generators import _unigram_tokenizer

    return _unigram_tokenizer()


def marian() -> Any:
    """SentencePiece Unigram, ``</s>`` behind a text. Marian's own tokenizer has no fast version: this is a converted
    one, as some checkpoints have it."""
    from tokenizers import decoders, pre_tokenizers
    from tokenizers.models import Unigram
    from tokenizers.normalizers import NFKC
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    pieces = _pieces(("<pad>", "</s>", "<unk>"), NFKC())
    trained = _tokenizer(Unigram(pieces, unk_id=2), pre_tokenizers.Metaspace(), NFKC())
    trained.decoder = decoders.Metaspace()
    trained.post_processor = TemplateProcessing(single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=trained, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def modernbert() -> Any:
    """Byte-level BPE over NFC, with BERT's special tokens last and runs of spaces as tokens, as OLMo's has them."""
    from tokenizers import AddedToken, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    vocab, merges = _byte_pairs(("|||IP_ADDRESS|||", "<|padding|>"))
    trained = _tokenizer(BPE(vocab, merges), pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    trained.decoder = decoders.ByteLevel()
    trained.add_tokens([AddedToken(" " * width, normalized=True) for width in (8, 4, 2)])
    trained.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", AddedToken("[MASK]", lstrip=True)])
    trained.post_processor = _template(trained, "[CLS]", "[SEP]")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "cls", "sep", "pad", "mask")}
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=trained, model_input_names=inputs, **names)


def xlm_roberta() -> Any:
    """SentencePiece Unigram over a SentencePiece character map, under RoBERTa's special tokens and template."""
    from tokenizers.normalizers import Precompiled
    from transformers import XLMRobertaTokenizer

    charsmap = character_map(_NMT_NFKC)
    pieces = _pieces(("<s>", "<pad>", "</s>", "<unk>"), Precompiled(charsmap))
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], _spm_precompiled_charsmap=charsmap)


def albert() -> Any:
    """SentencePiece Unigram, lower case, without accents, under BERT's template."""
    from tokenizers.normalizers import NFKD, Lowercase, Precompiled, StripAccents
    from transformers import AlbertTokenizer

    charsmap = character_map(_NMT_NFKC)
    specials = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
    pieces = _pieces(specials, NFKD(), StripAccents(), Lowercase(), Precompiled(charsmap))
    return AlbertTokenizer(vocab=pieces, _spm_precompiled_charsmap=charsmap)


def deberta() -> Any:
    """SentencePiece Unigram, cased, under BERT's template; a token's offsets include the space before it."""
    from tokenizers.normalizers import NFC
    from transformers import DebertaV2Tokenizer

    return DebertaV2Tokenizer(vocab=[*_pieces(("[PAD]", "[CLS]", "[SEP]", "[UNK]"), NFC()), ("[MASK]", 0.0)])


def character_map(replacements: dict[str, str]) -> bytes:
    """A SentencePiece ``precompiled_charsmap``: a double-array trie of UTF-8 keys, then the replacements, each ended by
    a zero byte.

    Format: the trie's bytes as a little-endian uint32; units of 32 bits as Darts-clone has them (label in bits 0-7,
    "has a leaf" in bit 8, offset from bit 10; a leaf has bit 31 and the replacement's place).
    """
    values, places = bytearray(), {}
    for key, value in sorted(replacements.items()):
        places[key.encode()] = len(values)
        values += value.encode() + b"\0"
    units = _double_array(places)
    trie = b"".join(unit.to_bytes(4, "little") for unit in units)
    return len(trie).to_bytes(4, "little") + trie + bytes(values)


def _double_array(places: dict[bytes, int]) -> list[int]:
    units: dict[int, int] = {0: 0}
    bases: set[int] = set()  # two nodes with one base would find each other's children
    waiting: deque[tuple[int, bytes]] = deque([(0, b"")])
    while waiting:
        at, prefix = waiting.popleft()
        labels = sorted({key[len(prefix)] for key in places if key.startswith(prefix) and key != prefix})
        taken = [0, *labels] if prefix in places else labels
        free = (base for base in range(1, 1 << 20) if base not in bases)
        base = next(base for base in free if not any(base ^ label in units for label in taken))
        bases.add(base)
        units[at] |= (at ^ base) << 10 | (prefix in places) << 8
        if prefix in places:
            units[base] = 1 << 31 | places[prefix]
        for label in labels:
            units[base ^ label] = label
            waiting.append((base ^ label, prefix + bytes([label])))
    return [units.get(at, 0) for at in range(256 * (max(units) // 256 + 1))]


def _word_pieces(specials: tuple[str, ...], lowercase: bool) -> dict[str, int]:
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    words = _merged_words(BertPreTokenizer(), BertNormalizer(lowercase=lowercase))
    starts = {word[0] for word in words}
    rest = {piece for word in words for piece in word[1:]}
    letters = {letter for word in words for letter in "".join(word)}
    pieces = sorted(starts | letters | {f"##{piece}" for piece in rest | letters})
    return {piece: number for number, piece in enumerate((*specials, *pieces))}


def _pieces(specials: tuple[str, ...], *normalizers: Any) -> list[tuple[str, float]]:
    from tokenizers.normalizers import Sequence as Steps
    from tokenizers.pre_tokenizers import Metaspace

    words = _merged_words(Metaspace(), Steps(list(normalizers)))
    counts = Counter(piece for word in words for piece in word)
    counts |= Counter({letter for word in words for letter in "".join(word)})  # a letter counts at least once
    logarithms = [(piece, math.log(count / counts.total())) for piece, count in sorted(counts.items())]
    return [*((name, 0.0) for name in specials), *logarithms]


def _byte_pairs(specials: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    trained = _tokenizer(BPE(), ByteLevel(add_prefix_space=False), None)
    trained.train_from_iterator(TEXTS, _bpe_trainer(special_tokens=specials, initial_alphabet=ByteLevel.alphabet()))
    model = json.loads(trained.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def _merged_words(pre_tokenizer: Any, normalizer: Any) -> list[list[str]]:
    """Every word of the texts as byte-pair merging divides it. The library's WordPiece and Unigram trainers would give
    another vocabulary in every process."""
    from tokenizers.models import BPE

    trained = _tokenizer(BPE(), pre_tokenizer, normalizer)
    trained.train_from_iterator(TEXTS, _bpe_trainer())
    encodings = trained.encode_batch(TEXTS)
    spans = [(encoding.tokens, groupby(encoding.word_ids)) for encoding in encodings]
    return [[tokens.pop(0) for _ in word] for tokens, words in spans for _, word in words]


def _bpe_trainer(special_tokens: Sequence[str] = (), initial_alphabet: Sequence[str] = ()) -> Any:
    from tokenizers.trainers import BpeTrainer

    return BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(special_tokens),
        initial_alphabet=list(initial_alphabet),
        show_progress=False,
    )


def _tokenizer(model: Any, pre_tokenizer: Any, normalizer: Any) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


def _template(tokenizer: Any, first: str, last: str) -> Any:
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
