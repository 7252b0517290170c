package text

import (
	"github.com/tandem-serve/tandem/plugins/text/wordpiece"
	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// WordpieceIn is one text, or two of which a model judges how they belong together.
type WordpieceIn struct {
	Text string  `tdm:"text"`
	Pair *string `tdm:"pair" doc:"a second text, for models that take two: it follows the first and has the token type 1"`
}

// WordpieceWith configures Wordpiece. The defaults are those of BERT uncased and the models trained from it.
type WordpieceWith struct {
	Vocabulary   string `with:"vocabulary" doc:"a vocabulary of your own, the text of a vocab.txt: one token a line, line n from 0 is id n; default: the 30,522 tokens of BERT uncased"`
	MaxLength    int    `with:"max_length" default:"512" min:"3" max:"65536" doc:"what makes a row longer is cut, [CLS] and [SEP] counted"`
	PadTo        int    `with:"pad_to" default:"1" min:"1" max:"65536" doc:"rows are filled up with [PAD] to a multiple of this, so that texts of similar length share batches"`
	Lowercase    bool   `with:"lowercase" default:"true" doc:"false for cased models"`
	StripAccents string `with:"strip_accents" default:"auto" enum:"auto yes no" doc:"auto: as lowercase says"`
	SplitChinese bool   `with:"split_chinese" default:"true" doc:"each Chinese character is a word"`
	Specials     bool   `with:"specials" default:"true" doc:"[MASK], [SEP] and the like in a text are these tokens; false: text like any other"`

	cut *wordpiece.Tokeniser
	pad int64
}

// Validate implements plugin.Validator: it makes the tokeniser, once for each configuration.
func (w *WordpieceWith) Validate() error {
	v, err := wordpiece.BERT()
	if w.Vocabulary != "" {
		v, err = wordpiece.NewVocabulary(w.Vocabulary)
	}
	if err != nil {
		return err
	}
	w.pad = v.Pad()
	w.cut = wordpiece.New(v, wordpiece.Options{
		Lowercase: w.Lowercase, StripAccents: w.StripAccents == "yes" || w.StripAccents == "auto" && w.Lowercase,
		SplitChinese: w.SplitChinese, Specials: w.Specials,
	})
	return nil
}

// WordpieceOut are rows of equal length under the names that models exported from Transformers have.
type WordpieceOut struct {
	IDs   plugin.Tensor[int64] `tdm:"input_ids,shape=1 seq"`
	Mask  plugin.Tensor[int64] `tdm:"attention_mask,shape=1 seq" doc:"1 for tokens, 0 for what fills the row up"`
	Types plugin.Tensor[int64] `tdm:"token_type_ids,shape=1 seq" doc:"0 for the text, 1 for the pair"`
}

// Wordpiece cuts a text into the tokens of a BERT model.
func Wordpiece(_ *plugin.Context, in WordpieceIn, with WordpieceWith) (WordpieceOut, error) {
	ids, first := with.cut.Encode(in.Text, in.Pair, with.MaxLength)
	n := int64(padded(len(ids), with.PadTo))
	out := WordpieceOut{plugin.NewTensor[int64](1, n), plugin.NewTensor[int64](1, n), plugin.NewTensor[int64](1, n)}
	for i := range out.IDs.Data {
		if i >= len(ids) {
			out.IDs.Data[i] = with.pad
			continue
		}
		out.IDs.Data[i], out.Mask.Data[i] = ids[i], 1
		if i >= first {
			out.Types.Data[i] = 1
		}
	}
	return out, nil
}

// padded returns n made a multiple of to.
func padded(n, to int) int { return (n + to - 1) / to * to }
