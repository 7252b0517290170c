/* A plugin whose declaration is wrong: the server must say what is. */
#include "tandem.h"

static int32_t wrong(tdm_call *c) {
	(void)c;
	return TDM_OK;
}

#define FUNCTIONS(F) F(wrong, "", TDM_PORTS(TDM_TEXT("a b")), TDM_NO_PORTS, TDM_NO_WITH)

TDM_PLUGIN("wrong", "1.0.0", "", FUNCTIONS)
