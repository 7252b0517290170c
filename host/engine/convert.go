package engine

import (
	"context"
	"sync"

	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/imaging"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// convert does to v, item by item, what the plan says.
func (r *run) convert(ctx context.Context, c graph.Convert, v value.Value) (value.Value, error) {
	if c == graph.ConvertNone {
		return v, nil
	}
	if v.Kind == abi.KindList {
		items := make([]value.Value, len(v.Items))
		for i := range v.Items {
			item, err := r.convert(ctx, c, v.Items[i])
			if err != nil {
				return value.Value{}, err
			}
			items[i] = item
		}
		return value.List(items), nil
	}
	switch c {
	case graph.ConvertDecode:
		return r.images.decode(ctx, v.Data)
	case graph.ConvertBytes:
		v.Kind = abi.KindBytes
	case graph.ConvertText:
		v.Kind = abi.KindText
	case graph.ConvertNone:
	}
	return v, nil
}

// imageCache decodes each image of a request once, however many nodes want its pixels.
type imageCache struct {
	limits imaging.Limits

	mu sync.Mutex            // guards the following
	m  map[imageKey]*decoded // nil while there is no image
}

// imageKey is the identity of an encoded image: values are not changed once they are handed on.
type imageKey struct {
	data *byte
	size int
}

type decoded struct {
	once sync.Once
	v    value.Value
	err  error
}

func newImageCache(l imaging.Limits) *imageCache {
	return &imageCache{limits: l}
}

// decode returns the pixels as a UINT8 tensor [h, w, 3].
func (c *imageCache) decode(ctx context.Context, data []byte) (value.Value, error) {
	key := imageKey{size: len(data)}
	if len(data) > 0 {
		key.data = &data[0]
	}
	c.mu.Lock()
	d := c.m[key]
	if d == nil {
		d = &decoded{}
		if c.m == nil {
			c.m = map[imageKey]*decoded{}
		}
		c.m[key] = d
	}
	c.mu.Unlock()
	d.once.Do(func() {
		if d.err = ctx.Err(); d.err != nil {
			return
		}
		img, err := imaging.Decode(data, c.limits)
		if err != nil {
			d.err = err
			return
		}
		d.v = value.Tensor(abi.UINT8, []int64{int64(img.H), int64(img.W), 3}, img.Pix)
	})
	return d.v, d.err
}
