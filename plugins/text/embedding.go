package text

import (
	"errors"
	"math"

	"github.com/tandem-serve/tandem/sdk/go/plugin"
)

// PoolIn is what a text model says of each token.
type PoolIn struct {
	Hidden plugin.Tensor[float32] `tdm:"hidden,shape=n seq size" doc:"last_hidden_state"`
	Mask   plugin.Tensor[int64]   `tdm:"attention_mask,shape=n seq"`
}

// PoolWith configures MeanPool.
type PoolWith struct {
	Normalise bool `with:"normalise" default:"true" doc:"make vectors of length 1, so that their dot product is their cosine"`
}

// PoolOut are vectors.
type PoolOut struct {
	Embedding plugin.Tensor[float32] `tdm:"embedding,shape=n size"`
}

// smallest keeps divisions sound where there is nothing to divide, as the reference does.
const smallest = 1e-9

// MeanPool makes one vector for each text: the mean of its tokens, those that fill the row up apart.
func MeanPool(_ *plugin.Context, in PoolIn, with PoolWith) (PoolOut, error) {
	rows, seq, size := int(in.Hidden.Shape[0]), int(in.Hidden.Shape[1]), int(in.Hidden.Shape[2])
	out := PoolOut{plugin.NewTensor[float32](int64(rows), int64(size))}
	for r := range rows {
		vector := out.Embedding.Data[r*size : (r+1)*size]
		count := float32(0)
		for s := range seq {
			if in.Mask.Data[r*seq+s] == 0 {
				continue
			}
			count++
			for i, x := range in.Hidden.Data[(r*seq+s)*size:][:size] {
				vector[i] += x
			}
		}
		scale(vector, 1/max(count, smallest))
		if with.Normalise {
			scale(vector, float32(1/max(math.Sqrt(dot(vector, vector)), smallest)))
		}
	}
	return out, nil
}

func scale(v []float32, by float32) {
	for i := range v {
		v[i] *= by
	}
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// CosineIn are two vectors, or rows of them.
type CosineIn struct {
	A plugin.Tensor[float32] `tdm:"a,shape=n size"`
	B plugin.Tensor[float32] `tdm:"b,shape=n size"`
}

// CosineOut says how alike they are.
type CosineOut struct {
	Similarity plugin.Tensor[float32] `tdm:"similarity,shape=n" doc:"-1 to 1 for each row; 0 where a vector is all zeros"`
}

// Cosine compares vectors by the angle between them.
func Cosine(_ *plugin.Context, in CosineIn, _ plugin.None) (CosineOut, error) {
	rows, size := int(in.A.Shape[0]), int(in.A.Shape[1])
	if size == 0 {
		return CosineOut{}, errors.New("the vectors have no elements")
	}
	out := CosineOut{plugin.NewTensor[float32](int64(rows))}
	for r := range rows {
		a, b := in.A.Data[r*size:(r+1)*size], in.B.Data[r*size:(r+1)*size]
		if length := math.Sqrt(dot(a, a)) * math.Sqrt(dot(b, b)); length > 0 {
			out.Similarity.Data[r] = float32(min(max(dot(a, b)/length, -1), 1))
		}
	}
	return out, nil
}
