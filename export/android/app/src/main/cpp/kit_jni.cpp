// The kit's functions as Java calls them. Texts go as bytes of UTF-8: JNI's own strings are of another form.

#include <jni.h>

#include <string>
#include <vector>

#include "edgesft_kit.h"

namespace {

std::string text_of(JNIEnv* env, jbyteArray bytes) {
    if (!bytes) return "";
    std::string text(static_cast<std::size_t>(env->GetArrayLength(bytes)), '\0');
    env->GetByteArrayRegion(bytes, 0, static_cast<jsize>(text.size()), reinterpret_cast<jbyte*>(text.data()));
    return text;
}

jbyteArray bytes_of(JNIEnv* env, const std::string& text) {
    auto size = static_cast<jsize>(text.size());
    jbyteArray bytes = env->NewByteArray(size);
    if (bytes) env->SetByteArrayRegion(bytes, 0, size, reinterpret_cast<const jbyte*>(text.data()));
    return bytes;
}

/// What was returned, which is given back; or an exception with the error's words.
jbyteArray taken(JNIEnv* env, char* text, char* error) {
    if (!text) {
        jclass type = env->FindClass("dev/edgesft/kit/KitException");
        jmethodID make = env->GetMethodID(type, "<init>", "([B)V");
        jbyteArray words = error ? taken(env, error, nullptr) : env->NewByteArray(0);
        env->Throw(static_cast<jthrowable>(env->NewObject(type, make, words)));
        return nullptr;
    }
    std::string copy = text;
    edgesft_kit_free(text);
    return bytes_of(env, copy);
}

/// Who hears an answer as it comes.
struct Listener {
    JNIEnv* env;
    jobject told;
    jmethodID piece;
};

int32_t heard(const char* piece, std::size_t size, void* own) {
    auto [env, told, method] = *static_cast<Listener*>(own);
    jbyteArray bytes = bytes_of(env, {piece, size});
    bool more = bytes && env->CallBooleanMethod(told, method, bytes);
    if (env->ExceptionCheck()) return 1;
    env->DeleteLocalRef(bytes);
    return !more;
}

edgesft_kit* kit_of(jlong handle) { return reinterpret_cast<edgesft_kit*>(handle); }

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_dev_edgesft_kit_Kit_open(JNIEnv* env, jclass, jbyteArray bundle, jbyteArray library,
                                                      jbyteArray provider, jint threads) {
    char* error = nullptr;
    std::string path = text_of(env, bundle), runtime = text_of(env, library), name = text_of(env, provider);
    edgesft_kit* kit = edgesft_kit_open(path.c_str(), runtime.c_str(), name.c_str(), threads, &error);
    if (!kit) taken(env, nullptr, error);
    return reinterpret_cast<jlong>(kit);
}

JNIEXPORT void JNICALL Java_dev_edgesft_kit_Kit_close(JNIEnv*, jclass, jlong kit) { edgesft_kit_close(kit_of(kit)); }

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_about(JNIEnv* env, jclass, jlong kit) {
    char* error = nullptr;
    char* text = edgesft_kit_about(kit_of(kit), &error);
    return taken(env, text, error);
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_answerRow(JNIEnv* env, jclass, jlong kit, jbyteArray row) {
    char* error = nullptr;
    char* text = edgesft_kit_answer(kit_of(kit), text_of(env, row).c_str(), &error);
    return taken(env, text, error);
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_answerPixels(JNIEnv* env, jclass, jlong kit, jbyteArray pixels,
                                                                   jint height, jint width, jint channels) {
    char* error = nullptr;
    std::string bytes = text_of(env, pixels);
    if (static_cast<jlong>(bytes.size()) != static_cast<jlong>(height) * width * channels) height = 0;  // is refused
    auto first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    char* text = edgesft_kit_answer_pixels(kit_of(kit), first, height, width, channels, &error);
    return taken(env, text, error);
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_answerSamples(JNIEnv* env, jclass, jlong kit, jfloatArray samples,
                                                                    jint rate, jfloatArray made) {
    char* error = nullptr;
    std::vector<float> heard(static_cast<std::size_t>(env->GetArrayLength(samples)));
    std::vector<float> said(static_cast<std::size_t>(env->GetArrayLength(made)));
    env->GetFloatArrayRegion(samples, 0, static_cast<jsize>(heard.size()), heard.data());
    char* text = edgesft_kit_answer_samples(kit_of(kit), heard.data(), heard.size(), rate, said.data(), said.size(), &error);
    env->SetFloatArrayRegion(made, 0, static_cast<jsize>(said.size()), said.data());
    return taken(env, text, error);
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_say(JNIEnv* env, jclass, jlong kit, jbyteArray row, jint most,
                                                          jdouble temperature, jlong top_k, jdouble top_p, jlong seed,
                                                          jobject told) {
    char* error = nullptr;
    edgesft_kit_sampling how{temperature, top_p, top_k, static_cast<std::uint64_t>(seed)};
    Listener listener{env, told, env->GetMethodID(env->GetObjectClass(told), "piece", "([B)Z")};
    if (!listener.piece) return nullptr;  // which has thrown
    char* text = edgesft_kit_say(kit_of(kit), text_of(env, row).c_str(), most, &how, heard, &listener, &error);
    if (!env->ExceptionCheck()) return taken(env, text, error);
    // What the listener threw goes on.
    edgesft_kit_free(text);
    edgesft_kit_free(error);
    return nullptr;
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_golden(JNIEnv* env, jclass, jlong kit) {
    char* error = nullptr;
    char* text = edgesft_kit_golden(kit_of(kit), &error);
    return taken(env, text, error);
}

JNIEXPORT jbyteArray JNICALL Java_dev_edgesft_kit_Kit_measure(JNIEnv* env, jclass, jlong kit, jdouble seconds) {
    char* error = nullptr;
    char* text = edgesft_kit_measure(kit_of(kit), seconds, &error);
    return taken(env, text, error);
}

}  // extern "C"
