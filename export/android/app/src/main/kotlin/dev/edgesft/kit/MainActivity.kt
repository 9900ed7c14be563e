package dev.edgesft.kit

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import org.json.JSONObject
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.util.concurrent.Executors

/** Opens `assets/bundle.zip`: answers texts and pictures, writes, checks the golden rows, measures. */
class MainActivity : Activity() {
    private val work = Executors.newSingleThreadExecutor()
    private lateinit var told: TextView
    private lateinit var buttons: LinearLayout
    private var kit: Kit? = null

    @Volatile private var stopped = false

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        told = TextView(this).apply { setTextIsSelectable(true) }
        buttons = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        val all = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            val space = (16 * resources.displayMetrics.density).toInt()
            setPadding(space, space, space, space)
            fitsSystemWindows = true
            addView(buttons)
            addView(told)
        }
        setContentView(ScrollView(this).apply { addView(all) })
        told.setText(R.string.opening)
        inBackground { Kit(unpacked().path).also { kit = it }.about() }
    }

    override fun onDestroy() {
        work.execute { kit?.close() }
        work.shutdown()
        super.onDestroy()
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val place = data?.data ?: return
        timed { answered(it, place) }
    }

    /**
     * The bundle as a file: an archive is mapped where it lies, which it cannot be within the application's own.
     *
     * It is copied once for each installation, whose time its name has, and is there whole or not at all.
     */
    private fun unpacked(): File {
        val installed = packageManager.getPackageInfo(packageName, 0).lastUpdateTime
        val target = File(filesDir, "bundle-$installed.zip")
        if (target.exists()) return target
        val packed = try {
            assets.open(BUNDLE)
        } catch (error: IOException) {
            throw IOException(getString(R.string.no_bundle), error)
        }
        val copy = File.createTempFile(BUNDLE, null, cacheDir)
        try {
            FileOutputStream(copy).use { out ->
                packed.use { it.copyTo(out) }
                out.fd.sync()
            }
            if (!copy.renameTo(target)) throw IOException("$copy must become $target, and did not")
        } finally {
            copy.delete()
        }
        filesDir.listFiles()?.filter { it.extension == "zip" && it != target }?.forEach { it.delete() }
        return target
    }

    /** What to press, by what the bundle reads. */
    private fun show(about: JSONObject) {
        buttons.removeAllViews()
        val reads = about.getString("reads")
        if (reads == "text" || reads == "words" || reads == "conversation") {
            val text = EditText(this).apply { setHint(R.string.text) }
            buttons.addView(text)
            val column = about.getJSONArray("columns").getString(0)
            val writes = about.getBoolean("writes")
            button(R.string.answer) {
                val row = JSONObject().put(column, text.text.toString()).toString()
                if (writes) said(row) else timed { it.answer(row) }
            }
            if (writes) button(R.string.stop) { stopped = true }
        }
        if (reads == "image") {
            val choose = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
            button(R.string.picture) { startActivityForResult(choose, 0) }
        }
        button(R.string.golden) {
            timed { it.golden().joinToString("\n").ifEmpty { getString(R.string.hold) } }
        }
        button(R.string.measure) {
            told.setText(R.string.measuring)
            timed { measured(it) }
        }
    }

    /** Shows an answer as it comes. */
    private fun said(row: String) {
        stopped = false
        told.text = ""
        timed { kit ->
            val answer = kit.say(row) { piece ->
                runOnUiThread { told.append(piece) }
                !stopped
            }
            JSONObject(answer).getString("text")
        }
    }

    private fun answered(kit: Kit, place: Uri): String {
        // The decoder turns a picture as its EXIF says; software pixels can be read.
        val source = ImageDecoder.createSource(contentResolver, place)
        val picture = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }.copy(Bitmap.Config.ARGB_8888, false)
        val colours = IntArray(picture.width * picture.height)
        picture.getPixels(colours, 0, picture.width, 0, 0, picture.width, picture.height)
        val pixels = ByteArray(3 * colours.size)
        for ((index, colour) in colours.withIndex()) {
            for (channel in 0..2) pixels[3 * index + channel] = (colour shr (16 - 8 * channel)).toByte()
        }
        return kit.answer(pixels, picture.height, picture.width, 3)
    }

    private fun measured(kit: Kit): String {
        val target = File(getExternalFilesDir(null), "device.jsonl")
        target.writeText(kit.measure(SECONDS))
        return getString(R.string.measured, target.path)
    }

    private fun button(title: Int, press: (View) -> Unit) {
        buttons.addView(Button(this).apply {
            setText(title)
            setOnClickListener(press)
        })
    }

    /** Does some work with the kit, and shows how long it took. */
    private fun timed(work: (Kit) -> String) = inBackground {
        val opened = kit ?: return@inBackground getString(R.string.opening)
        val began = System.nanoTime()
        val found = work(opened)
        "$found\n\n%.2f ms".format((System.nanoTime() - began) / 1e6)
    }

    private fun inBackground(make: () -> String) {
        work.execute {
            val found = runCatching(make)
            runOnUiThread {
                told.text = found.getOrElse { it.message ?: it.toString() }
                if (buttons.childCount == 0) found.getOrNull()?.let { show(JSONObject(it)) }
            }
        }
    }

    private companion object {
        const val BUNDLE = "bundle.zip"

        /** Spent on timed inferences, as a profile's default has it. */
        const val SECONDS = 5.0
    }
}
