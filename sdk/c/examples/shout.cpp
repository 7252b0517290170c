/* A plugin in C++: it repeats a text in capitals. `make` in the folder above builds it. */
#include "../tdm.hpp"
#include "shout.hpp"

TDM_CPP_PLUGIN("shout", "0.1.0", "Says it louder.",
	tdm::function<shout>("shout", "repeats a text in capitals").in("text", nullptr, "what to say").out("text").out("length", "", "bytes of the text"))
