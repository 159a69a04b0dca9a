"""Pictures and clips: reading, measuring, making them.

clip             What `--input` names: a picture or an animation, a folder of them, or a video
container_size   How long a video or picture says it is: tells a file that was cut off while it was copied
difference       The running difference of one leg's tensor against the reference's, over pictures or frames
heif_structure   What an AVIF or HEIC file's boxes say that its readers do not: bits per channel, and sequences of
                 frames
photographs      The photographs that the scikit-image wheel bundles: for calibration and samples, without a network
picture_format   Which kind of picture a file is, by its first bytes: names and suffixes say nothing
picture_refusal  Which pictures are refused although they can be read: what reading them would lose without a word
picture_streams  Pictures one behind the other in one file, as `ffmpeg -f image2pipe` and the Netpbm formats have them
pictures         Pictures, and animations that are kept as pictures: 8-bit RGB out of what Pillow reads
sample           The clip of `nvc-check sample`: moving pictures, the same bytes for the same arguments
scene            A moving scene out of two photographs: a pan and zoom over one, a cut-out of the other passing by
size_limit       How large a picture or frame may be: what declares more is refused before anything is decoded
video            Video files: frames as 8-bit RGB, in display order
y4m              YUV4MPEG2: what a stream's structure says, and writing 8-bit 4:2:0
"""
