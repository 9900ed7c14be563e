// ONNX Runtime's C API: of the framework that an application for iOS is linked with, or of a folder of headers.
#pragma once

#ifdef EDGESFT_LINKED
#include <onnxruntime/onnxruntime_c_api.h>
#else
#include "onnxruntime_c_api.h"
#endif
