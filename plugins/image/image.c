/* The image plugin: turns images into what vision models take, scaled, cropped and normalised. `make wasm` builds it. */
#include "../../sdk/c/tandem.h"

#include "resample.h"

/* How a node is configured. */
typedef struct {
	int w, h, crop, interleaved, bgr, faulty;
	double scale, mean[3], std[3];
} settings;

static settings with;

/* Reads a JSON number; *p ends behind it. */
static double number(const char **p) {
	double value = 0, scale = 1;
	int negative = **p == '-', below = 0, exponent = 0, small = 0;
	if (negative) ++*p;
	for (; **p >= '0' && **p <= '9'; ++*p) value = value * 10 + (**p - '0');
	if (**p == '.')
		for (++*p; **p >= '0' && **p <= '9'; ++*p, below++) value = value * 10 + (**p - '0');
	if (**p == 'e' || **p == 'E') {
		++*p;
		if (**p == '-' || **p == '+') small = *(*p)++ == '-';
		for (; **p >= '0' && **p <= '9' && exponent < 1000; ++*p) exponent = exponent * 10 + (**p - '0');
	}
	exponent = (small ? -exponent : exponent) - below;
	for (int i = 0; i < exponent || i < -exponent; i++) scale *= 10;
	value = exponent < 0 ? value / scale : value * scale;
	return negative ? -value : value;
}

/* Reads a list of three numbers, or leaves the fallback. It returns 0 when the list is another one. */
static int three(const char *key, double *out) {
	char text[512];
	const char *p = text;
	int n = 0;
	int32_t length = tdm_config_text(key, text, sizeof text);
	if (length == TDM_NOT_FOUND) return 1;
	if (length < 0) return 0;
	while (*p) {
		if ((*p >= '0' && *p <= '9') || *p == '-') {
			if (n == 3) return 0;
			out[n++] = number(&p);
		} else {
			p++;
		}
	}
	return n == 3;
}

/* Tells whether a configured text is the one that is not the default. */
static int is(const char *key, const char *other) {
	char text[16];
	int32_t n = tdm_config_text(key, text, sizeof text);
	if (n < 0) return 0;
	for (int32_t i = 0; i <= n; i++)
		if (text[i] != other[i]) return 0;
	return 1;
}

static uint32_t out_bytes(int w, int h) { return 4 * (3 * (uint32_t)w * (uint32_t)h + 4); }

/* Reads the configuration, before the snapshot is taken from which all calls start, and gets the memory that a call needs. */
TDM_EXPORT("tdm1_init") int32_t tdm1_init(uint32_t json, uint32_t length) {
	static const settings defaults = {.scale = 0.00392156862745098, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
	int size = (int)tdm_config_number("size", 224);
	(void)json, (void)length;
	with = defaults;
	with.w = (int)tdm_config_number("width", 0);
	with.h = (int)tdm_config_number("height", 0);
	if (!with.w) with.w = size;
	if (!with.h) with.h = size;
	with.scale = tdm_config_number("scale", with.scale);
	with.crop = is("fit", "crop");
	with.interleaved = is("layout", "nhwc");
	with.bgr = is("order", "bgr");
	if (!three("mean", with.mean) || !three("std", with.std)) {
		tdm_log(TDM_ERR, "mean and std are three numbers each");
		return TDM_ERROR;
	}
	if (!with.std[0] || !with.std[1] || !with.std[2]) {
		tdm_log(TDM_ERR, "std holds 0");
		return TDM_ERROR;
	}
	if (with.w < 1 || with.w > 4096 || with.h < 1 || with.h > 4096) {
		tdm_log(TDM_ERR, "width and height are from 1 to 4096");
		return TDM_ERROR;
	}
	uint32_t before = tdm_heap; /* what is taken here is there, and free again, when a call starts */
	(void)tdm_take(out_bytes(with.w, with.h) + rs_space(2048, with.w) + 128, 64);
	tdm_heap = before;
	return TDM_OK;
}

/* Returns the largest window in the middle of an image that has the target's proportions. */
static rs_window middle(int w, int h, int to_w, int to_h) {
	rs_window win = {0, 0, w, h};
	if (w * (int64_t)to_h > h * (int64_t)to_w) {
		double keep = (double)h * to_w / to_h;
		win.x0 = (w - keep) / 2;
		win.x1 = (w + keep) / 2;
	} else {
		double keep = (double)w * to_h / to_w;
		win.y0 = (h - keep) / 2;
		win.y1 = (h + keep) / 2;
	}
	return win;
}

static int32_t prepare(tdm_call *c) {
	const tdm_value *in = tdm_in(c, 0);
	rs_image img = {tdm_u8(in), (int)in->dims[1], (int)in->dims[0]};
	if (img.w < 1 || img.h < 1) return tdm_fail(c, "the image is not a tensor [h,w,3] with pixels in it");
	float *data = tdm_take(out_bytes(with.w, with.h), 64);
	uint8_t *space = tdm_take(rs_space(img.w, with.w), 64);
	if (!data || !space) return tdm_no_memory(c);
	rs_target to = {.data = data, .w = with.w, .h = with.h, .interleaved = with.interleaved, .bgr = with.bgr};
	for (int i = 0; i < 3; i++) {
		to.mul[i] = (float)(with.scale / with.std[i]);
		to.add[i] = (float)(-with.mean[i] / with.std[i]);
	}
	rs_window whole = {0, 0, img.w, img.h};
	rs_resample(img, with.crop ? middle(img.w, img.h, with.w, with.h) : whole, &to, space);
	tdm_value *x = tdm_out(c, 0);
	tdm_set(x, TDM_TENSOR_KIND, data, 12 * (uint32_t)with.w * (uint32_t)with.h);
	x->dtype = TDM_FP32;
	x->rank = 4;
	x->dims[0] = 1;
	x->dims[1] = with.interleaved ? with.h : 3;
	x->dims[2] = with.interleaved ? with.w : with.h;
	x->dims[3] = with.interleaved ? 3 : with.w;
	return TDM_OK;
}

#define SIDE(name, value, least, doc) \
	"\"" name "\":{\"type\":\"integer\",\"default\":" value ",\"minimum\":" least ",\"maximum\":4096,\"description\":\"" doc "\"}"
#define CHOICE(name, first, second, doc) \
	"\"" name "\":{\"type\":\"string\",\"default\":\"" first "\",\"enum\":[\"" first "\",\"" second "\"]" doc "}"
#define THREE(name, value, item, doc) \
	"\"" name "\":{\"type\":\"array\",\"items\":" item ",\"minItems\":3,\"maxItems\":3,\"default\":" value ",\"description\":\"" doc "\"}"

#define SETTINGS TDM_WITH("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" \
	SIDE("size", "224", "1", "width and height of what the model takes") "," \
	SIDE("width", "0", "0", "width, where it is not size") "," \
	SIDE("height", "0", "0", "height, where it is not size") "," \
	CHOICE("fit", "stretch", "crop", ",\"description\":\"crop keeps proportions and takes the middle\"") "," \
	"\"scale\":{\"type\":\"number\",\"default\":0.00392156862745098,\"description\":\"what a byte is multiplied by, before the mean is taken off\"}," \
	THREE("mean", "[0.485,0.456,0.406]", "{\"type\":\"number\"}", "one for each channel in the model's order") "," \
	THREE("std", "[0.229,0.224,0.225]", "{\"type\":\"number\",\"not\":{\"const\":0}}", "one for each channel, not 0") "," \
	CHOICE("layout", "nchw", "nhwc", "") "," CHOICE("order", "rgb", "bgr", "") "}}")

#define IMAGE TDM_PORT("\"name\":\"image\",\"kind\":\"tensor\",\"dtype\":\"UINT8\",\"shape\":[\"h\",\"w\",3],\"doc\":\"RGB\"")
#define X TDM_PORT("\"name\":\"x\",\"kind\":\"tensor\",\"dtype\":\"FP32\",\"shape\":[1,\"?\",\"?\",\"?\"]," \
	"\"doc\":\"[1,3,height,width], or [1,height,width,3] with layout: nhwc\"")

#define FUNCTIONS(F) F(prepare, "scales and normalises an image for a model", TDM_PORTS(IMAGE), TDM_PORTS(X), SETTINGS)

TDM_PLUGIN("image", "1.1.0", "Turns images into what vision models take.", FUNCTIONS)
