/* Tests the functions of shout.cpp natively: `make test` in the folder above. No server is needed. */
#include <assert.h>
#include "shout.hpp"

int main() {
	tdm::context server;
	tdm::out<tdm::string_view> loud;
	tdm::out<int64_t> length;
	shout_config with;
	with.marks = 2;
	assert(shout(server, "hello", with, loud, length));
	assert(loud.value == "HELLO!!" && length.value == 7 && server.lines == 1);
	tdm::status nothing = shout(server, "", with, loud, length);
	assert(!nothing && nothing.error().text == "nothing to say");
	return 0;
}
