/*
 * The ocr plugin, in vectors: it joins PP-OCR's three models into a reader of text. Package ocr in Go is the same, slower and with the
 * reasons for its numbers; tests hold this to it. `make` in this folder builds it.
 */
#define TDM_ROOM (32 << 20) /* what a page of text takes */
#include "../../../sdk/c/tdm.hpp"

#include "cut.hpp"
#include "heat.hpp"
#include "read.hpp"

asm(".section .rodata.ocr_keys,\"\",@\n"
    ".globl ocr_keys\n.type ocr_keys,@object\nocr_keys:\n"
    ".incbin \"ppocr_keys_v1.txt\"\n"
    ".size ocr_keys, 26249\n");

using tdm::error, tdm::list, tdm::ok, tdm::optional, tdm::out, tdm::status, tdm::string_view, tdm::tensor;

namespace ocr {

static status image_of(const tensor<const uint8_t> &t, rs_image &img) {
	img = {t.data.data(), (int)t.shape[1], (int)t.shape[0]};
	if (img.w < 1 || img.h < 1) return error{"the image is not a tensor [h,w,3] with pixels in it"};
	return ok;
}

struct detect_config {
	int32_t max_side = 960;
	template <class F> void fields(F &f) {
		f("max_side", max_side).min(32).max(4096).doc("longer side of what the detector sees; images are never enlarged");
	}
};

static int multiple_of_32(double side) {
	int n = 32 * whole(__builtin_floor(side / 32 + 0.5));
	return n < 32 ? 32 : n;
}

static status prepare_detect(tensor<const uint8_t> image, const detect_config &with, out<tensor<float>> &x, out<tensor<float>> &scale) {
	constexpr double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
	rs_image img;
	if (status s = image_of(image, img); !s) return s;
	double ratio = least(1, (double)with.max_side / (img.w > img.h ? img.w : img.h));
	int w = multiple_of_32(img.w * ratio), h = multiple_of_32(img.h * ratio);
	tdm::span<float> room = tdm::take<float>(3 * (size_t)w * (size_t)h + 4);
	rs_target to = target(room.data(), w, h, w, mean, std);
	work_space space;
	rs_resample(img, {0, 0, (double)img.w, (double)img.h}, &to, space.of(img.w, w));
	x = tensor<const float>{{1, 3, h, w}, room.first(room.size() - 4)};
	auto factors = scale.make({2});
	factors[0] = (float)img.w / (float)w;
	factors[1] = (float)img.h / (float)h;
	return ok;
}

struct cut_config {
	double threshold = 0.3, box_score = 0.6, unclip = 1.5;
	int32_t max_lines = 1000;
	template <class F> void fields(F &f) {
		f("threshold", threshold).min(0).max(1).doc("heat from which a pixel counts as text");
		f("box_score", box_score).min(0).max(1).doc("mean heat from which a box is kept");
		f("unclip", unclip).min(0).max(10).doc("growth of a box: area times this over its perimeter");
		f("max_lines", max_lines).min(1).max(10000).doc("lines at most");
	}
};

/* What the lines of one image may take together, since a plugin's memory is bounded. */
constexpr int64_t most_line_bytes = 160 << 20;

static status check_room(tdm::span<const quad> boxes) {
	int64_t size = 0;
	for (const quad &q : boxes) size += 3 * line_height * 4 * (cut::of(q).line_width() + turn_width);
	if (size <= most_line_bytes) return ok;
	tdm::text t;
	t.add((int64_t)boxes.size()).add(" lines take ").add(size >> 20).add(" MiB, more than the ").add(most_line_bytes >> 20);
	return error{t.add(" that one call may use: lower max_lines").view()};
}

static void take_line(const cut &c, rs_image img, int w, int width, work_space &space, out<tensor<float>> &to) {
	tdm::span<float> room = tdm::take<float>(3 * line_height * (size_t)width + 4);
	c.take(img, room.data(), w, width, space);
	to = tensor<const float>{{1, 3, line_height, width}, room.first(room.size() - 4)};
}

static status cut_lines(tensor<const uint8_t> image, tensor<const float> heat, tensor<const float> scale, const cut_config &with,
                        out<list<tensor<float>>> &lines, out<list<tensor<float>>> &turns, out<tensor<float>> &boxes) {
	rs_image img;
	if (status s = image_of(image, img); !s) return s;
	heat_map map{(int)heat.shape[3], (int)heat.shape[2], heat.data.data()};
	auto found = map.boxes({with.threshold, with.box_score, with.unclip, (uint32_t)with.max_lines});
	tdm::span<quad> placed = tdm::take<quad>(found.size());
	size_t n = 0;
	for (const rect &r : found)
		if (r.placed(scale[0], scale[1], img.w, img.h, placed[n])) n++;
	placed = placed.first(n);
	if (status s = check_room(placed); !s) return s;
	auto to_lines = lines.make(n), to_turns = turns.make(n);
	auto corners = boxes.make({(int64_t)n, 4, 2});
	work_space space;
	rows order = rows_of(placed);
	for (size_t i = 0; i < n; i++) {
		const quad &q = placed[order.order[i]];
		for (int k = 0; k < 4; k++) {
			point p = q[k].clipped(img.w, img.h);
			corners[8 * i + 2 * (size_t)k] = (float)rounded_away(p.x);
			corners[8 * i + 2 * (size_t)k + 1] = (float)rounded_away(p.y);
		}
		cut c = cut::of(q);
		int w = c.line_width();
		take_line(c, img, w, w, space, to_lines[i]);
		take_line(c.start(), img, w < turn_width ? w : turn_width, turn_width, space, to_turns[i]);
	}
	return ok;
}

struct orient_config {
	double threshold = 0.9;
	template <class F> void fields(F &f) {
		f("threshold", threshold).min(0.5).max(1).doc("probability above which a line's direction is sure");
	}
};

/* Writes a line turned by 180 degrees: each plane backwards. */
static void turn(tensor<const float> line, out<tensor<float>> &to) {
	size_t plane = line.size() / 3;
	tdm::span<float> turned = to.make(line.shape);
	for (size_t c = 0; c < 3; c++) {
		const float *from = line.data.data() + c * plane;
		float *at = turned.data() + (c + 1) * plane;
		size_t i = 0;
		for (; i + 4 <= plane; i += 4) {
			at -= 4;
			v128_t v = wasm_v128_load(from + i);
			wasm_v128_store(at, wasm_i32x4_shuffle(v, v, 3, 2, 1, 0));
		}
		for (; i < plane; i++) *--at = from[i];
	}
}

static status orient(list<tensor<const float>> lines, list<tensor<const float>> angles, const orient_config &with,
                     out<list<tensor<float>>> &oriented, out<tensor<bool>> &turned) {
	if (lines.size() != angles.size()) return error{"there are not as many angles as lines"};
	size_t down = 0, up = 0;
	for (const auto &a : angles) {
		if (a[1] > with.threshold) down++;
		else if (a[0] > with.threshold) up++;
	}
	auto to = oriented.make(lines.size());
	auto flags = turned.make({(int64_t)lines.size()});
	for (size_t i = 0; i < lines.size(); i++) {
		const auto &a = angles[i];
		bool sure = most(a[0], a[1]) > with.threshold;
		flags[i] = sure ? a[1] > a[0] : down > up;
		if (flags[i]) turn(lines[i], to[i]);
		else to[i] = lines[i];
	}
	return ok;
}

struct read_config {
	double min_confidence = 0.5;
	bool follow_page = false;
	template <class F> void fields(F &f) {
		f("min_confidence", min_confidence).min(0).max(1).doc("lines below are dropped");
		f("follow_page", follow_page)
			.doc("when most lines were upside down, so is the page: it is read from its end; else lines come as they stand, from the top");
	}
};

/* The text and the document that are written line by line, in reading order. */
struct page {
	tdm::text text;
	tdm::json_writer doc;

	void add(const line &l, const quad &box, const bool *turned, string_view separator) {
		if (text.n) text.add(separator);
		text.add(l.text);
		doc.begin('{').key("text").value(l.text).key("confidence").value(l.confidence);
		if (turned) doc.key("turned").value(*turned);
		doc.key("box").begin('[');
		for (const point &p : box.at) doc.begin('[').value((float)p.x).value((float)p.y).end(']');
		doc.end(']').end('}');
	}
};

static status check_logits(size_t i, const tensor<const float> &l) {
	if (l.shape[2] == classes) return ok;
	tdm::text t;
	t.add("line ").add((int64_t)i).add(" is not [1,steps,").add((int64_t)classes);
	return error{t.add("]: the recogniser is for another list of characters").view()};
}

static characters all_characters;

static status read_lines(list<tensor<const float>> logits, tensor<const float> boxes, optional<tensor<const bool>> turned,
                         const read_config &with, out<string_view> &text, out<tdm::json> &lines) {
	size_t n = logits.size();
	if ((size_t)boxes.shape[0] != n) return error{"there are not as many boxes as lines"};
	if (turned && turned->size() != n) return error{"turned does not say something of every line"};
	all_characters.list();
	tdm::span<quad> corners = tdm::take<quad>(n);
	tdm::span<line> read = tdm::take<line>(n);
	for (size_t i = 0; i < n; i++) {
		if (status s = check_logits(i, logits[i]); !s) return s;
		for (size_t k = 0; k < 4; k++) corners[i][(int)k] = {boxes[8 * i + 2 * k], boxes[8 * i + 2 * k + 1]};
		read[i] = decode(all_characters, logits[i].data);
	}
	size_t down = 0;
	for (size_t i = 0; turned && i < n; i++) down += (*turned)[i];
	bool backwards = with.follow_page && 2 * down > n;
	rows order = rows_of(corners);
	page p;
	p.doc.begin('[');
	for (size_t r = 0; r < order.ends.size(); r++) {
		size_t at = backwards ? order.ends.size() - 1 - r : r, from = at ? order.ends[at - 1] : 0, end = order.ends[at];
		string_view separator = "\n";
		for (size_t k = 0; k < end - from; k++) {
			uint32_t i = order.order[backwards ? end - 1 - k : from + k];
			if (read[i].text.empty() || read[i].confidence < (float)with.min_confidence) continue;
			p.add(read[i], corners[i], turned ? &(*turned)[i] : nullptr, separator);
			separator = " ";
		}
	}
	p.doc.end(']');
	text = p.text.view();
	lines = p.doc.json();
	return ok;
}

} // namespace ocr

TDM_CPP_PLUGIN("ocr", "1.1.0", "Reads text with PP-OCR models: prepares images, cuts lines out, turns them, decodes characters.",
	tdm::function<ocr::prepare_detect>("prepare_detect", "scales and normalises an image for the text detector")
		.in("image", "h w 3", "RGB")
		.out("x", "1 3 heat_h heat_w", "BGR, normalised, both sides multiples of 32")
		.out("scale", "2", "width and height of the image over those of x"),
	tdm::function<ocr::cut_lines>("cut_lines", "cuts out the lines that the detector's heat map shows, in reading order")
		.in("image", "h w 3", "the image that prepare_detect had")
		.in("heat", "1 1 heat_h heat_w", "the detector's output")
		.in("scale", "2", "from prepare_detect")
		.out("lines", "1 3 48 ?", "each line for the recogniser, BGR, -1 to 1")
		.out("turns", "1 3 48 192", "each line for the angle classifier")
		.out("boxes", "n 4 2", "corners x, y in the image, clockwise from the top left"),
	tdm::function<ocr::orient>("orient", "turns the lines that the angle classifier found upside down")
		.in("lines", "1 3 48 ?", "from cut_lines")
		.in("angles", "1 2", "for each line the probabilities of 0 and 180 degrees")
		.out("lines", "1 3 48 ?")
		.out("turned", "n", "which lines were turned"),
	tdm::function<ocr::read_lines>("read_lines", "decodes what the recogniser saw")
		.in("logits", "1 ? classes", "for each line and step the probabilities of the characters")
		.in("boxes", "n 4 2", "from cut_lines")
		.in("turned", "n", "from orient")
		.out("text", nullptr, "one line of text for each row; boxes side by side are joined by a space")
		.out("lines", nullptr, "[{text, confidence, turned, box: [[x, y], ...]}, ...] in reading order; turned stands there when it was given"))
