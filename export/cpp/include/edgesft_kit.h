/* The kit for other languages: a bundle that answers rows, behind functions of C. Java reaches it by JNI (export/android),
 * Swift as it is (export/ios).
 *
 * Texts are UTF-8 and end in a zero. What is returned as char* is the caller's, who gives it back to edgesft_kit_free.
 * Where something fails, NULL is returned and *error is a text: "CODE words", CODE being an exit code of edgesft (1 the
 * bundle is broken, 2 bad input, 4 this device cannot do it). A kit is used by one thread at a time.
 */
#ifndef EDGESFT_KIT_H
#define EDGESFT_KIT_H

#include <stddef.h>
#include <stdint.h>

#define EDGESFT_KIT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edgesft_kit edgesft_kit;

/* Opens a bundle, in a folder or an archive, that is whole, and loads the model that this device takes.
 *
 * library: path or name of ONNX Runtime's; not looked at where it was linked in. provider: NULL for all that there are. */
EDGESFT_KIT edgesft_kit* edgesft_kit_open(const char* bundle, const char* library, const char* provider, int32_t threads, char** error);

EDGESFT_KIT void edgesft_kit_close(edgesft_kit* kit);

/* What it is, and what of it this device takes: a JSON object. "columns" are those of a raw row, "writes" says whether it
 * answers token by token. */
EDGESFT_KIT char* edgesft_kit_about(edgesft_kit* kit, char** error);

/* The answer to a raw row, which is a JSON object of its columns: {"text": …}, {"image": PATH}; as JSON. */
EDGESFT_KIT char* edgesft_kit_answer(edgesft_kit* kit, const char* row, char** error);

/* The same of a picture: rows of pixels from the top, 1 or 3 channels (RGB) of 8 bits, no space between rows. */
EDGESFT_KIT char* edgesft_kit_answer_pixels(edgesft_kit* kit, const uint8_t* pixels, int32_t height, int32_t width, int32_t channels,
                                char** error);

/* The same of a sound of one channel. Where the model makes sound, as many samples, at the contract's rate, are written to
 * `made` (room for `room`), unless that is NULL. */
EDGESFT_KIT char* edgesft_kit_answer_samples(edgesft_kit* kit, const float* samples, size_t count, int32_t rate, float* made, size_t room,
                                 char** error);

/* How a model that answers token by token chooses each: the likeliest where temperature is 0, else by chance. Scores are
 * divided by temperature; drawn is from the top_k likeliest (0: all), of those from the likeliest that have the share top_p
 * of the probability together (1: all). The same seed draws the same tokens, here and in the other kits. */
typedef struct edgesft_kit_sampling {
    double temperature, top_p;
    int64_t top_k;
    uint64_t seed;
} edgesft_kit_sampling;

/* Hears what each token adds to the text, `size` bytes of UTF-8, none while a character is not whole; called on the
 * caller's thread. What is not 0 ends the answer. */
typedef int32_t (*edgesft_kit_told)(const char* piece, size_t size, void* own);

/* What a model that answers token by token says to a raw row: {"prompt": …}, {"messages": [{"role": …, "content": …}]}, or
 * what the bundle's columns say. A JSON object: "text", "tokens", "end" ("stop", "length" after `most` tokens, "cache" where
 * the model can remember no more, "cancelled"), "prompt" (tokens of what was asked), "first_ns", "step_ns".
 *
 * how: NULL for the likeliest. told: NULL, or called with `own` as the answer comes. */
EDGESFT_KIT char* edgesft_kit_say(edgesft_kit* kit, const char* row, int32_t most, const edgesft_kit_sampling* how,
                                  edgesft_kit_told told, void* own, char** error);

/* What is fed of a raw row: a JSON list of objects, input to array (export/PROTOCOL.md). */
EDGESFT_KIT char* edgesft_kit_inputs(edgesft_kit* kit, const char* row, char** error);

/* What is wrong with the answers to the golden rows: a line each, empty where they hold. */
EDGESFT_KIT char* edgesft_kit_golden(edgesft_kit* kit, char** error);

/* Latency on the golden rows, in lines that `edgesft check --measurements` reads. */
EDGESFT_KIT char* edgesft_kit_measure(edgesft_kit* kit, double seconds, char** error);

EDGESFT_KIT void edgesft_kit_free(char* text);

#ifdef __cplusplus
}
#endif

#endif
