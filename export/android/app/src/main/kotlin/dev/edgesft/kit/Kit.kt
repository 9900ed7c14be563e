package dev.edgesft.kit

/** Why a kit cannot do something; [code] is an exit code of edgesft: 1 broken bundle, 2 bad input, 4 not on this device. */
class KitException(told: ByteArray) : Exception(told.decodeToString().substringAfter(' ')) {
    val code: Int = told.decodeToString().substringBefore(' ').toIntOrNull() ?: 4
}

/** Hears the bytes that each token adds to a text; false ends the answer. */
fun interface Told {
    fun piece(bytes: ByteArray): Boolean
}

/**
 * How a model that answers token by token chooses each.
 *
 * @param temperature Scores are divided by it; 0 takes the likeliest token.
 * @param topK Only so many of the likeliest tokens are drawn from; 0 is all.
 * @param topP Only the likeliest that have this share of the probability together.
 * @param seed The same one draws the same tokens.
 */
class Sampling(val temperature: Double = 0.0, val topK: Long = 0, val topP: Double = 1.0, val seed: Long = 0)

/**
 * A bundle that `edgesft pack` made, whole, with the model that this device takes. It is used by one thread at a time.
 *
 * @param bundle Folder or archive.
 * @param library ONNX Runtime's; in an application the name is enough.
 * @param provider That runs the model, as ONNX Runtime spells it; null for the best there is.
 * @param threads Of an inference.
 */
class Kit(bundle: String, library: String = "libonnxruntime.so", provider: String? = null, threads: Int = 1) :
    AutoCloseable {

    private var handle: Long =
        open(bundle.encodeToByteArray(), library.encodeToByteArray(), provider?.encodeToByteArray(), threads)

    /** What it is, and what of it this device takes: a JSON object. */
    fun about(): String = about(handle).decodeToString()

    /** The answer to a raw row, a JSON object of its columns such as `{"text": …}`; as JSON. */
    fun answer(row: String): String = answerRow(handle, row.encodeToByteArray()).decodeToString()

    /** The same of a picture: rows of pixels from the top, of 1 or 3 channels (RGB). */
    fun answer(pixels: ByteArray, height: Int, width: Int, channels: Int): String =
        answerPixels(handle, pixels, height, width, channels).decodeToString()

    /** The same of a sound of one channel; a model that makes sound fills [made], at the contract's rate. */
    fun answer(samples: FloatArray, rate: Int, made: FloatArray = FloatArray(0)): String =
        answerSamples(handle, samples, rate, made).decodeToString()

    /**
     * What a model that answers token by token says to a raw row such as `{"prompt": …}`: a JSON object (`edgesft_kit.h`).
     *
     * @param most Tokens at most: a model may never stop.
     * @param told Hears, on the caller's thread, what each token adds to the text, which may be nothing yet; false ends
     *   the answer.
     */
    fun say(row: String, most: Int = 128, sampling: Sampling = Sampling(), told: (String) -> Boolean = { true }): String {
        val listener = Told { told(it.decodeToString()) }
        val how = sampling
        return say(handle, row.encodeToByteArray(), most, how.temperature, how.topK, how.topP, how.seed, listener).decodeToString()
    }

    /** What is wrong with the answers to the golden rows; empty where they hold. */
    fun golden(): List<String> = golden(handle).decodeToString().lines().filter { it.isNotEmpty() }

    /** Latency on the golden rows, in lines that `edgesft check --measurements` reads. */
    fun measure(seconds: Double): String = measure(handle, seconds).decodeToString()

    override fun close() {
        if (handle != 0L) close(handle)
        handle = 0
    }

    private companion object {
        init {
            System.loadLibrary("edgesft_kit_jni")
        }

        @JvmStatic external fun open(bundle: ByteArray, library: ByteArray, provider: ByteArray?, threads: Int): Long
        @JvmStatic external fun close(kit: Long)
        @JvmStatic external fun about(kit: Long): ByteArray
        @JvmStatic external fun answerRow(kit: Long, row: ByteArray): ByteArray
        @JvmStatic external fun answerPixels(kit: Long, pixels: ByteArray, height: Int, width: Int, channels: Int): ByteArray
        @JvmStatic external fun answerSamples(kit: Long, samples: FloatArray, rate: Int, made: FloatArray): ByteArray
        @JvmStatic
        external fun say(
            kit: Long, row: ByteArray, most: Int, temperature: Double, topK: Long, topP: Double, seed: Long, told: Told,
        ): ByteArray

        @JvmStatic external fun golden(kit: Long): ByteArray
        @JvmStatic external fun measure(kit: Long, seconds: Double): ByteArray
    }
}
