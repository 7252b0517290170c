/* A plugin whose declaration is wrong: the server must say what is. */
#include "tdm.hpp"

static tdm::status wrong(tdm::string_view) { return tdm::ok; }

TDM_CPP_PLUGIN("wrong", "1.0.0", "", tdm::function<wrong>("wrong", "").in("a b"))
